#include "core/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <sstream>

// spdlog is seen in this file only: its fmt and the one that LibTorch's headers bring do not compile
// together.
namespace weightscope {
namespace {

spdlog::logger& logger() {
  static const auto instance = [] {
    auto created = spdlog::stderr_color_mt("weightscope");
    created->set_pattern("weightscope: %v");
    return created;
  }();
  return *instance;
}

}  // namespace

void set_log_level(LogLevel level) {
  logger().set_level(level == LogLevel::quiet  ? spdlog::level::warn
                     : level == LogLevel::info ? spdlog::level::info
                                               : spdlog::level::debug);
}

std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= 0x20 && byte != 0x7f) || c == '\n' || c == '\t')
      out += c;
    else
      out += "\\x" + std::string{"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 0xf]};
  }
  return out;
}

void log_debug(const std::string& line) { logger().debug("{}", printable(line)); }
void log_info(const std::string& line) { logger().info("{}", printable(line)); }
void log_warning(const std::string& line) { logger().warn("warning: {}", printable(line)); }

void log_error(const std::string& message) {
  std::istringstream lines(printable(message));
  for (std::string line; std::getline(lines, line);) logger().error("error: {}", line);
  logger().flush();
}

}  // namespace weightscope

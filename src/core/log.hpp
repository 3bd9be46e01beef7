#pragma once
#include <string>

namespace weightscope {

/// Lines on stderr, "weightscope: " first. What concerns the job is said by the rank that speaks for it.
enum class LogLevel { quiet, info, debug };

void set_log_level(LogLevel level);
/// With control characters spelled out (\x1b): names in files from elsewhere must not steer a terminal. What
/// is logged goes through it.
std::string printable(const std::string& text);
void log_debug(const std::string& line);
void log_info(const std::string& line);
void log_warning(const std::string& line);  ///< "weightscope: warning: …"; shown at every level
/// One "weightscope: error: …" line for each line of `message`.
void log_error(const std::string& message);

}  // namespace weightscope

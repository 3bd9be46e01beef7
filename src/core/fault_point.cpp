#include "core/fault_point.hpp"

#ifdef WEIGHTSCOPE_FAULTS
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace weightscope {

bool fault_point(std::string_view point, int rank, std::int64_t step) {
  static std::string fault = [] {
    const char* text = std::getenv("WEIGHTSCOPE_FAULT");
    return std::string(text == nullptr ? "" : text);
  }();
  const std::string here = std::string(point) + ":" + std::to_string(rank) + ":" + std::to_string(step) + ":";
  if (!fault.starts_with(here)) return false;
  const std::string action = fault.substr(here.size());
  fault.clear();
  if (action == "kill") std::raise(SIGKILL);
  if (action == "segv") std::raise(SIGSEGV);
  if (action == "stop") std::raise(SIGSTOP);
  if (action == "abort") std::abort();
  if (action == "exit") std::_Exit(0);
  if (action == "throw") throw std::runtime_error("thrown by a test at " + std::string(point));
  return action == "corrupt";
}

}  // namespace weightscope
#endif

#include "core/error.hpp"

#include <cerrno>
#include <cstring>

namespace weightscope {

void require(bool ok, Fault fault, const std::string& message) {
  if (!ok) throw Error(fault, message);
}

std::string system_message(const std::string& what, const std::string& path) {
  return what + " " + path + ": " + std::strerror(errno);
}

void require_system(bool ok, Fault fault, const std::string& what, const std::string& path) {
  if (!ok) throw Error(fault, system_message(what, path));
}

}  // namespace weightscope

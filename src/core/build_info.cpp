#include "core/build_info.hpp"

#include <array>
#include <cstdio>

namespace weightscope {

std::string version() { return WEIGHTSCOPE_VERSION; }

std::string git_revision() {
  FILE* pipe = ::popen("git -C '" WEIGHTSCOPE_SOURCE_DIR "' describe --always --dirty 2>/dev/null", "r");
  std::array<char, 80> line{};
  const bool read = pipe != nullptr && std::fgets(line.data(), line.size(), pipe) != nullptr;
  if (pipe != nullptr) ::pclose(pipe);
  std::string text = read ? line.data() : "unknown";
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string compiler() {
  return "GCC " + std::to_string(__GNUC__) + "." + std::to_string(__GNUC_MINOR__) + "." +
         std::to_string(__GNUC_PATCHLEVEL__);
}

}  // namespace weightscope

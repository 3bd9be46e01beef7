#include "core/build_info.hpp"

namespace weightscope {

std::string version() { return WEIGHTSCOPE_VERSION; }

std::string compiler() {
  return "GCC " + std::to_string(__GNUC__) + "." + std::to_string(__GNUC_MINOR__) + "." +
         std::to_string(__GNUC_PATCHLEVEL__);
}

}  // namespace weightscope

#pragma once
#include <string>

namespace weightscope {

std::string hdf5_version();  ///< of the library that is loaded, "1.10.8"

}  // namespace weightscope

#pragma once
#include <string>

namespace weightscope {

std::string mpi_version();   ///< of the library, "Open MPI v4.1.4, …"
std::string nccl_version();  ///< "2.28.9", or why there is none

}  // namespace weightscope

#pragma once
// Private to comm/*.cpp.
#include <mpi.h>

namespace weightscope {

/// Throws Error{comm} with MPI's own text unless status is MPI_SUCCESS. call: the function's name.
void mpi_check(int status, const char* call);

}  // namespace weightscope

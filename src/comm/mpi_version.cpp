#include <mpi.h>

#include "comm/versions.hpp"

namespace weightscope {

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string whole(text);
  return whole.substr(0, whole.find(','));
}

}  // namespace weightscope

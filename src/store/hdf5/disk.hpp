#pragma once
#include "store/hdf5/handle.hpp"

namespace weightscope::hdf5 {

/// How writing a file went: 0, or errno of the first operation that failed.
struct DiskState {
  int error = 0;
};

/// Makes files opened with these access properties go to disk through a driver of our own, which keeps the
/// first failure in `state` and tells HDF5 that all is well. HDF5 1.10 leaves a file that it could not write
/// half open, and crashes on it when the program ends; so a file that takes no more writes is closed in good
/// order and then thrown away by whoever looks at the state. `state` must outlive the file.
void use_disk_driver(Id access_properties, DiskState& state);

}  // namespace weightscope::hdf5

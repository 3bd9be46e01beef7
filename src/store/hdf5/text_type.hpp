#pragma once
#include "store/hdf5/handle.hpp"

namespace weightscope::hdf5 {

/// Variable-length UTF-8: what xarray and netCDF-4 need for string coordinates.
Handle text_type();

}  // namespace weightscope::hdf5

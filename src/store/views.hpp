#pragma once
#include "store/schema.hpp"

namespace weightscope {

/// /views: what viewers of NeXus files draw without being told how, as second names of datasets that the file
/// has already.
void make_views(hdf5::File& file, const ExperimentHeader& header);

}  // namespace weightscope

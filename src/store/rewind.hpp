#pragma once
#include "store/layout.hpp"
#include "store/run_files.hpp"

namespace weightscope {

/// Takes everything after the checkpoint of `step` out of the sealed file (the tail is folded): snapshots,
/// eval rows and alarms of later steps, train rows from `step` on. The file as it was stays under set-aside/
/// first. Nothing happens when there are no such rows.
void rewind(const RunFiles& files, const ExperimentHeader& header, const Identity& identity,
            std::int64_t step);

}  // namespace weightscope

#pragma once
#include <filesystem>
#include <vector>

#include "store/experiment_file.hpp"

namespace weightscope {

/// Numbers of a recorded snapshot, as the file has them.
struct RecordedSnapshot {
  std::int64_t step = 0;
  std::vector<double> std, head_std, update_ratio;  ///< axes as in Snapshot; head_std may be missing
};

/// The end of a record, oldest first.
struct RecentRecord {
  std::vector<TrainRow> train;
  std::vector<RecordedSnapshot> snapshots;
  std::vector<ProbeRow> probes;
};

/// The last rows of the sealed file: so many train rows, two snapshots, two probes; fewer where there are no
/// more. Error{input}.
RecentRecord read_recent(const std::filesystem::path& run, std::size_t train_rows);

}  // namespace weightscope

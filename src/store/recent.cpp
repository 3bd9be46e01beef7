#include "store/recent.hpp"

#include <algorithm>

#include "store/layout.hpp"
#include "store/run_files.hpp"

namespace weightscope {
namespace {

constexpr std::size_t kSnapshots = 2, kProbes = 2;

template <class Row>
std::vector<Row> last_rows(std::vector<Row> rows, std::size_t count) {
  if (rows.size() > count) rows.erase(rows.begin(), rows.end() - static_cast<std::ptrdiff_t>(count));
  return rows;
}

RecordedSnapshot snapshot_at(const hdf5::File& file, const ExperimentHeader& header, std::uint64_t row) {
  RecordedSnapshot snapshot;
  for (const auto& dataset : snapshot_datasets(header)) {
    const auto& spec = dataset.spec;
    const auto values = [&] { return std::get<std::vector<double>>(file.read(spec, row, 1)); };
    if (spec.path == "snapshot_step")
      snapshot.step = std::get<std::vector<std::int64_t>>(file.read(spec, row, 1)).front();
    else if (spec.path == "std")
      snapshot.std = values();
    else if (spec.path == "head_std")
      snapshot.head_std = values();
    else if (spec.path == "update_ratio")
      snapshot.update_ratio = values();
  }
  return snapshot;
}

}  // namespace

RecentRecord read_recent(const std::filesystem::path& run, std::size_t train_rows) {
  const auto lock = hdf5::exclusive();
  const auto file = hdf5::File::open_to_read(RunFiles{run}.sealed());
  const auto header = header_of(file);
  RecentRecord recent;
  recent.train = last_rows(read_table<TrainRow>(file), train_rows);
  recent.probes = last_rows(read_table<ProbeRow>(file, header), kProbes);
  const auto rows = file.rows("snapshot_step");
  for (auto row = rows - std::min<std::uint64_t>(rows, kSnapshots); row < rows; ++row)
    recent.snapshots.push_back(snapshot_at(file, header, row));
  return recent;
}

}  // namespace weightscope

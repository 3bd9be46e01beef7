#include "store/rewind.hpp"

#include <algorithm>
#include <cstdio>

#include "core/file_io.hpp"

namespace weightscope {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kRowsAtOnce = 64;

/// How much of the file stays.
struct Kept {
  std::uint64_t snapshots = 0;
  Rows rows;
  bool everything = true;
};

template <class Row, class F>
void keep_rows(const hdf5::File& file, const ExperimentHeader& header, Kept& kept, F&& stays) {
  auto rows = read_table<Row>(file, header);
  const auto before = rows.size();
  std::erase_if(rows, [&](const Row& row) { return !stays(row); });
  kept.everything = kept.everything && rows.size() == before;
  std::get<std::vector<Row>>(kept.rows) = std::move(rows);
}

Kept what_stays(const hdf5::File& file, const ExperimentHeader& header, std::int64_t step) {
  Kept kept;
  keep_rows<TrainRow>(file, header, kept, [&](const TrainRow& r) { return r.step < step; });
  keep_rows<EvalRow>(file, header, kept, [&](const EvalRow& r) { return r.step <= step; });
  keep_rows<ProbeRow>(file, header, kept, [&](const ProbeRow& r) { return r.step <= step; });
  keep_rows<SpectraRow>(file, header, kept, [&](const SpectraRow& r) { return r.step <= step; });
  keep_rows<AlarmRow>(file, header, kept, [&](const AlarmRow& r) { return r.step <= step; });
  keep_rows<SegmentRow>(file, header, kept, [](const SegmentRow&) { return true; });
  const auto steps = std::get<std::vector<std::int64_t>>(file.read(snapshot_datasets(header).front().spec));
  kept.snapshots =
      static_cast<std::uint64_t>(std::upper_bound(steps.begin(), steps.end(), step) - steps.begin());
  kept.everything = kept.everything && kept.snapshots == steps.size();
  return kept;
}

/// Keeps the file under a second name; where links are impossible, as a copy.
void set_aside(const RunFiles& files, std::int64_t step) {
  make_directories(files.set_aside());
  const auto known = files.set_aside_files();
  const long number = known.empty() ? 1 : 1 + std::atol(known.back().filename().c_str());
  char name[64];
  std::snprintf(name, sizeof name, "%04ld-after-%012lld.h5", number, static_cast<long long>(step));
  const auto path = files.set_aside() / name;
  std::error_code failed;
  fs::create_hard_link(files.sealed(), path, failed);
  if (failed) fs::copy_file(files.sealed(), path, fs::copy_options::overwrite_existing, failed);
  require(!failed, Fault::output, "cannot set rows aside in " + path.string() + ": " + failed.message());
  sync_path(path);
  sync_path(files.set_aside());
}

/// F(dataset, first row, values) for the kept snapshots, a few rows at a time.
template <class F>
void for_snapshot_rows(const hdf5::File& from, const ExperimentHeader& header, std::uint64_t kept, F&& f) {
  for (const auto& dataset : snapshot_datasets(header))
    for (std::uint64_t at = 0; at < kept; at += kRowsAtOnce)
      f(dataset.spec, at, from.read(dataset.spec, at, std::min(kRowsAtOnce, kept - at)));
}

void write_kept(const hdf5::File& from, const RunFiles& files, const ExperimentHeader& header,
                const Identity& identity, const Kept& kept) {
  remove_file(files.temporary());
  auto to = create_layout(files.temporary(), header, identity, FileKind::sealed);
  for_snapshot_rows(from, header, kept.snapshots,
                    [&](const auto& spec, auto at, const auto& values) { to.write(spec, at, values); });
  for_each_table(kept.rows, [&](const auto& table, const auto& rows) {
    if (!table.grows || !recorded(table, header)) return;
    if (table.index == "row") to.write(row_index_spec(table.group, 0, true), 0, row_numbers(0, rows.size()));
    for (const auto& column : table.columns)
      to.write(column_spec(table, column, 0, header), 0, values_of(column, std::span(rows)));
  });
  const auto counts = parameter_count_spec(header);
  if (kept.snapshots > 0) to.write(counts, 0, from.read(counts));
  to.close();
}

void verify_kept(const hdf5::File& from, const RunFiles& files, const ExperimentHeader& header,
                 const Kept& kept) {
  const auto to = hdf5::File::open_to_read(files.temporary(), Fault::output);
  const auto expect = [&](bool equal, const std::string& dataset) {
    require(equal, Fault::output,
            to.path().string() + ": " + dataset +
                " reads back differently from what was written (the disk may be failing)");
  };
  for_snapshot_rows(from, header, kept.snapshots, [&](const auto& spec, auto at, const auto& values) {
    expect(hdf5::first_difference(to.read(spec, at, std::min(kRowsAtOnce, kept.snapshots - at)), values) < 0,
           spec.path);
  });
  for_each_table(kept.rows, [&](const auto& table, const auto& rows) {
    if (!table.grows || !recorded(table, header)) return;
    for (const auto& column : table.columns) {
      const auto spec = column_spec(table, column, 0, header);
      expect(hdf5::first_difference(to.read(spec), values_of(column, std::span(rows))) < 0, spec.path);
    }
  });
}

}  // namespace

void rewind(const RunFiles& files, const ExperimentHeader& header, const Identity& identity,
            std::int64_t step) {
  const auto from = hdf5::File::open_to_read(files.sealed());
  const auto kept = what_stays(from, header, step);
  if (kept.everything) return;
  set_aside(files, step);
  write_kept(from, files, header, identity, kept);
  verify_kept(from, files, header, kept);
  sync_path(files.temporary());
  rename_durably(files.temporary(), files.sealed());
}

}  // namespace weightscope

#include "store/fold.hpp"

#include <algorithm>

#include "core/file_io.hpp"

namespace weightscope {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kRecheckedRows =
    64;  // rows before the new ones, whose chunks may have been rewritten

std::vector<hdf5::File> open_all(const std::vector<fs::path>& paths) {
  std::vector<hdf5::File> files;
  for (const auto& path : paths) files.push_back(hdf5::File::open_to_read(path));
  return files;
}

/// The new rows of one dataset: those of the tail in order, then the pending ones.
hdf5::Values new_rows(const hdf5::DatasetSpec& spec, const std::vector<hdf5::File>& tail, const Rows& pending,
                      std::uint64_t begin) {
  auto values = hdf5::empty(spec.type);
  if (is_row_index(spec)) {
    std::size_t count = 0;
    if (in_tail(spec))
      for (const auto& file : tail) count += file.rows(spec.path);
    for_each_table(pending, [&](const auto& table, const auto& rows) {
      if (table.grows && spec.path == std::string(table.group) + "/row") count += rows.size();
    });
    return row_numbers(begin, count);
  }
  if (in_tail(spec))
    for (const auto& file : tail) hdf5::append(values, file.read(spec));
  hdf5::append(values, table_values(spec, pending));
  return values;
}

void write_segment(hdf5::File& file, const SegmentRow& row, const ExperimentHeader& header) {
  const auto& table = table_of<SegmentRow>();
  const auto rows = file.rows("segments/row");
  if (rows == 0) return;
  for (const auto& column : table.columns)
    file.write(column_spec(table, column, 0, header), rows - 1, values_of(column, std::span(&row, 1)));
}

void expect_equal(const hdf5::DatasetSpec& spec, const hdf5::Values& read, const hdf5::Values& written,
                  const fs::path& file) {
  require(hdf5::first_difference(read, written) < 0, Fault::output,
          file.string() + ": " + spec.path +
              " reads back differently from what was written (the disk may be failing)");
}

}  // namespace

namespace fold_steps {

std::vector<fs::path> missing_tail_files(const FoldRequest& request) {
  const auto sealed = hdf5::File::open_to_read(request.files.sealed());
  const auto step_spec = snapshot_datasets(request.header).front().spec;
  const auto known = std::get<std::vector<std::int64_t>>(sealed.read(step_spec));
  std::vector<fs::path> missing;
  for (const auto& path : request.files.tail_files()) {
    const auto file = hdf5::File::open_to_read(path);
    require(file.text_attribute("uuid") == request.identity.uuid, Fault::input,
            path.string() + " belongs to another run; move it away");
    const auto steps = std::get<std::vector<std::int64_t>>(file.read(step_spec));
    require(steps.size() == 1, Fault::input, path.string() + " does not hold one snapshot");
    if (std::find(known.begin(), known.end(), steps.front()) == known.end()) missing.push_back(path);
  }
  return missing;
}

void write_temporary(const FoldRequest& request, const std::vector<fs::path>& tail) {
  const auto temporary = request.files.temporary();
  remove_file(temporary);
  std::error_code failed;
  fs::copy_file(request.files.sealed(), temporary, failed);
  require(!failed, Fault::output, "cannot copy to " + temporary.string() + ": " + failed.message());
  const auto sources = open_all(tail);
  auto file = hdf5::File::open_to_change(temporary);
  const bool first = file.rows("snapshot_step") == 0;
  for (const auto& spec : growing_datasets(request.header)) {
    const auto begin = file.rows(spec.path);
    file.write(spec, begin, new_rows(spec, sources, request.pending, begin));
  }
  const auto counts = parameter_count_spec(request.header);
  if (first && !sources.empty()) file.write(counts, 0, sources.front().read(counts));
  if (request.segment) write_segment(file, *request.segment, request.header);
  file.set_attribute("status", request.status);
  file.set_attribute("config", request.header.config_yaml);
  file.set_attribute("weightscope_version", request.header.version);
  file.close();
}

void verify_temporary(const FoldRequest& request, const std::vector<fs::path>& tail) {
  const auto before = hdf5::File::open_to_read(request.files.sealed());
  const auto after = hdf5::File::open_to_read(request.files.temporary(), Fault::output);
  const auto sources = open_all(tail);
  for (const auto& spec : growing_datasets(request.header)) {
    const auto begin = before.rows(spec.path), end = after.rows(spec.path);
    const auto written = new_rows(spec, sources, request.pending, begin);
    const auto row = std::max<std::uint64_t>(spec.row_size(), 1);
    require(
        end == begin + hdf5::size(written) / row, Fault::output,
        request.files.temporary().string() + ": " + spec.path + " has lost rows (the disk may be failing)");
    expect_equal(spec, after.read(spec, begin, end - begin), written, after.path());
    const auto back = std::min(begin, kRecheckedRows);
    if (request.segment && !in_tail(spec)) continue;  // the last row of /segments may have changed
    expect_equal(spec, after.read(spec, begin - back, back), before.read(spec, begin - back, back),
                 after.path());
  }
}

void publish_temporary(const RunFiles& files, const std::function<void()>& published) {
  sync_path(files.temporary());
  rename_durably(files.temporary(), files.sealed(), published);
}

void remove_tail(const RunFiles& files, const std::vector<fs::path>& tail) {
  for (const auto& path : tail) remove_file(path);
  if (!tail.empty()) sync_path(files.tail());
}

}  // namespace fold_steps

void fold(const FoldRequest& request, const std::function<void()>& published) {
  const auto all = request.files.tail_files();
  const auto missing = fold_steps::missing_tail_files(request);
  const Unfinished guard(request.files.temporary());
  fold_steps::write_temporary(request, missing);
  fold_steps::verify_temporary(request, missing);
  fold_steps::publish_temporary(request.files, published);
  fold_steps::remove_tail(request.files, all);
}

}  // namespace weightscope

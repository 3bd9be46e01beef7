#include "store/superseded.hpp"

#include <array>

namespace weightscope {
namespace {

constexpr std::size_t kMostDifferences = 100;

std::string on_axis(const hdf5::Axis& axis, std::uint64_t at, const ExperimentHeader& header) {
  constexpr std::array<const char*, 3> qkv{"q", "k", "v"};
  if (axis.scale == "parameter") return header.parameters.at(at);
  if (axis.scale == "component") return std::string(kComponentNames.at(at));
  if (axis.scale == "qkv") return qkv.at(at);
  return axis.scale + " " + std::to_string(at);
}

/// "histogram of layer 1, k, bin 225": where element `at` of one row lies.
std::string place_in_row(const hdf5::DatasetSpec& spec, std::uint64_t at, const ExperimentHeader& header) {
  std::string text;
  for (std::size_t axis = spec.axes.size(); axis-- > 1; at /= spec.axes[axis].size)
    text = on_axis(spec.axes[axis], at % spec.axes[axis].size, header) + (text.empty() ? "" : ", ") + text;
  return spec.path + (text.empty() ? "" : " of " + text);
}

std::string difference_text(const std::string& what, const hdf5::Values& now, const hdf5::Values& before,
                            std::size_t at) {
  return what + " is " + hdf5::element_text(now, at) + ", was " + hdf5::element_text(before, at);
}

/// The first column in which two rows differ, or "".
template <class Row>
std::string row_difference(const Row& now, const Row& before, const ExperimentHeader& header) {
  const auto& table = table_of<Row>();
  for (const auto& column : table.columns) {
    if (column.repeatable == Repeatable::no) continue;
    const auto a = values_of(column, std::span(&now, 1)), b = values_of(column, std::span(&before, 1));
    const auto at = hdf5::first_difference(a, b);
    if (at < 0) continue;
    const auto element = static_cast<std::size_t>(at);
    auto spec = column_spec(table, column, 0, header);
    spec.path = column.name;
    return difference_text(place_in_row(spec, element, header), a, b, element);
  }
  return "";
}

}  // namespace

Superseded::Superseded(const std::vector<std::filesystem::path>& files, const ExperimentHeader& header,
                       std::int64_t step) {
  const auto step_spec = snapshot_datasets(header).front().spec;
  for (const auto& path : files) {
    const auto file = hdf5::File::open_to_read(path);
    for (const auto& row : read_table<TrainRow>(file))
      if (row.step >= step) train_[row.step] = row;
    for (const auto& row : read_table<EvalRow>(file))
      if (row.step > step) eval_[row.step] = row;
    for (const auto& row : read_table<ProbeRow>(file, header))
      if (row.step > step) probe_[row.step] = row;
    for (const auto& row : read_table<SpectraRow>(file, header))
      if (row.step > step) spectra_[row.step] = row;
    const auto steps = std::get<std::vector<std::int64_t>>(file.read(step_spec));
    for (std::uint64_t i = 0; i < steps.size(); ++i)
      if (steps[i] > step) snapshots_[steps[i]] = {path, i};
  }
}

void Superseded::note(const std::string& line) {
  if (differences_.size() < kMostDifferences) differences_.push_back(line);
}

template <class Row>
void Superseded::compare_row(const Row& row, std::map<std::int64_t, Row>& earlier,
                             const ExperimentHeader& header) {
  const auto found = earlier.find(row.step);
  if (found == earlier.end()) return;
  if (const auto text = row_difference(row, found->second, header); !text.empty())
    note(std::string(table_of<Row>().group) + " step " + std::to_string(row.step) + ": " + text);
  earlier.erase(found);
}

void Superseded::compare(const TrainRow& row) { compare_row(row, train_, {}); }
void Superseded::compare(const EvalRow& row) { compare_row(row, eval_, {}); }
void Superseded::compare(const SpectraRow& row, const ExperimentHeader& header) {
  compare_row(row, spectra_, header);
}
void Superseded::compare(const ProbeRow& row, const ExperimentHeader& header) {
  compare_row(row, probe_, header);
}

void Superseded::compare(const Snapshot& snapshot, const ExperimentHeader& header) {
  const auto found = snapshots_.find(snapshot.step);
  if (found == snapshots_.end()) return;
  compare_with(found->second, snapshot, header);
  snapshots_.erase(found);
}

void Superseded::compare_again(const Snapshot& snapshot, const ExperimentHeader& header,
                               const std::filesystem::path& sealed) {
  const auto file = hdf5::File::open_to_read(sealed);
  const auto steps = std::get<std::vector<std::int64_t>>(file.read(snapshot_datasets(header).front().spec));
  for (std::uint64_t i = 0; i < steps.size(); ++i)
    if (steps[i] == snapshot.step) compare_with({sealed, i}, snapshot, header);
}

void Superseded::compare_with(const Place& place, const Snapshot& snapshot, const ExperimentHeader& header) {
  const auto file = hdf5::File::open_to_read(place.file);
  std::string first, first_bin;
  for (const auto& dataset : snapshot_datasets(header)) {
    const bool bins = dataset.spec.path == "histogram";
    if (dataset.repeatable == Repeatable::no || !(first.empty() || bins)) continue;
    const auto now = dataset.row(snapshot), before = file.read(dataset.spec, place.row, 1);
    const auto at = hdf5::first_difference(now, before);
    if (at < 0) continue;
    const auto element = static_cast<std::size_t>(at);
    (bins ? first_bin : first) =
        difference_text(place_in_row(dataset.spec, element, header), now, before, element);
  }
  if (first.empty() && first_bin.empty()) return;
  note("snapshot " + std::to_string(snapshot.step) + ": " + first +
       (first.empty() || first_bin.empty() ? "" : "; ") + first_bin);
}

}  // namespace weightscope

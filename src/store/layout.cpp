#include "store/layout.hpp"

#include <algorithm>
#include <ctime>
#include <numeric>
#include <random>

#include "core/hash.hpp"
#include "store/views.hpp"

namespace weightscope {
namespace {

/// Chunks of at most 64 KiB (histograms: 1 MiB and 8 rows) and 64 rows, so that a short run stays small and a
/// reader of one layer does not read the whole file.
std::uint64_t chunk_rows(const hdf5::DatasetSpec& spec, FileKind kind) {
  if (kind == FileKind::tail) return 1;
  if (spec.axes.size() == 1) return spec.type == hdf5::Type::text ? 16 : 512;
  const std::uint64_t row_bytes = std::max<std::uint64_t>(8 * spec.row_size(), 1);
  const std::uint64_t bytes = spec.compressed ? 1U << 20 : 1U << 16, rows = spec.compressed ? 8 : 64;
  return std::clamp<std::uint64_t>(bytes / row_bytes, 1, rows);
}

void make_tables(hdf5::File& file, const ExperimentHeader& header, FileKind kind) {
  Rows rows;
  std::get<std::vector<InitRow>>(rows) = header.init;
  for_each_table(rows, [&](const auto& table, const auto& of) {
    if ((kind == FileKind::tail && table.where == Where::sealed) || !recorded(table, header)) return;
    file.make_group(std::string(table.group));
    if (table.index == "row") {
      const auto index = row_index_spec(table.group, of.size(), table.grows);
      file.make(index, chunk_rows(index, kind));
      if (!table.grows) file.write(index, 0, row_numbers(0, of.size()));
    }
    for (const auto& column : table.columns) {
      const auto spec = column_spec(table, column, of.size(), header);
      file.make(spec, chunk_rows(spec, kind));
      if (!table.grows) file.write(spec, 0, values_of(column, std::span(of)));
    }
  });
}

}  // namespace

Identity new_identity() {
  std::random_device random;
  std::string digits;
  for (int i = 0; i < 4; ++i) digits += hex(static_cast<std::uint32_t>(random()));
  digits[12] = '4';  // version 4, variant 1 (RFC 4122)
  digits[16] = "89ab"[random() % 4];
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char created[32];
  std::strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return {digits.substr(0, 8) + "-" + digits.substr(8, 4) + "-" + digits.substr(12, 4) + "-" +
              digits.substr(16, 4) + "-" + digits.substr(20),
          created};
}

Identity identity_of(const hdf5::File& file) {
  return {file.text_attribute("uuid"), file.text_attribute("created")};
}

hdf5::Values row_numbers(std::uint64_t begin, std::size_t count) {
  std::vector<std::int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), static_cast<std::int64_t>(begin));
  return numbers;
}

hdf5::File create_layout(const std::filesystem::path& path, const ExperimentHeader& header,
                         const Identity& identity, FileKind kind) {
  auto file = hdf5::File::create(path);
  file.set_attribute("Conventions", kConventions);
  file.set_attribute("schema_version", kSchemaVersion);
  file.set_attribute("uuid", identity.uuid);
  file.set_attribute("name", header.name);
  file.set_attribute("created", identity.created);
  file.set_attribute("status", "running");
  file.set_attribute("weightscope_version", header.version);
  file.set_attribute("config", header.config_yaml);
  const auto snapshots = snapshot_datasets(header);
  file.make(snapshots.front().spec, chunk_rows(snapshots.front().spec, kind));
  for (const auto& fixed : fixed_datasets(header)) {
    file.make(fixed.spec, 1);
    file.write(fixed.spec, 0, fixed.values);
  }
  file.make(parameter_count_spec(header), 1);
  for (const auto& dataset : std::span(snapshots).subspan(1))
    file.make(dataset.spec, chunk_rows(dataset.spec, kind));
  make_tables(file, header, kind);
  if (kind == FileKind::sealed) make_views(file, header);
  return file;
}

void check_is_experiment(const hdf5::File& file) {
  const auto path = file.path().string();
  require(file.text_attribute("Conventions") == kConventions, Fault::input,
          path + " is not an experiment file");
  require(file.integer_attribute("schema_version") <= kSchemaVersion, Fault::input,
          path + " was written by a newer weightscope; use that one");
}

int axis_length(const hdf5::File& file, const char* axis) {
  const auto length = file.rows(axis);
  require(length <= 65536, Fault::input, file.path().string() + ": " + axis + " is impossibly long");
  return static_cast<int>(length);
}

ExperimentHeader header_of(const hdf5::File& file) {
  check_is_experiment(file);
  ExperimentHeader header;
  header.name = file.text_attribute("name");
  header.config_yaml = file.text_attribute("config");
  header.version = file.text_attribute("weightscope_version");
  header.layers = axis_length(file, "layer"), header.heads = axis_length(file, "head");
  header.head_summaries = file.has("head_std");
  header.head_histograms = file.has("head_histogram");
  header.displacement = file.has("displacement");
  header.probes = file.has("probe/step");
  header.spectra = file.has("spectra/step");
  header.gradients = file.has("gradient_std");
  const auto texts = [&](const char* path) {
    const hdf5::DatasetSpec spec{path, hdf5::Type::text, {{"parameter", 0, false}}, "", ""};
    return std::get<std::vector<std::string>>(file.read(spec));
  };
  header.parameters = texts("parameter");
  header.parameter_shapes = texts("parameter_shape");
  if (file.has("init/name")) header.init = read_table<InitRow>(file);
  for (const auto& dataset : snapshot_datasets(header))
    if (std::holds_alternative<SnapshotDataset::Derived>(dataset.source) && !file.has(dataset.spec.path))
      header.lacks.push_back(dataset.spec.path);
  return header;
}

}  // namespace weightscope

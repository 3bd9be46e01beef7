#include <algorithm>
#include <limits>
#include <set>

#include "core/file_io.hpp"
#include "store/layout.hpp"
#include "store/run_files.hpp"

namespace weightscope {
namespace {

namespace fs = std::filesystem;

void take_rows(ExperimentFacts& facts, const hdf5::File& file) {
  const auto train = read_table<TrainRow>(file);
  if (!train.empty()) facts.last_step = train.back().step, facts.last_loss = train.back().loss;
  facts.alarms += static_cast<std::int64_t>(file.rows("alarms/row"));
}

std::vector<std::int64_t> steps_of(const hdf5::File& file) {
  const hdf5::DatasetSpec spec{"snapshot_step", hdf5::Type::i64, {{"snapshot_step", 0, true}}, "", ""};
  return std::get<std::vector<std::int64_t>>(file.read(spec));
}

ExperimentFacts sealed_facts(const fs::path& path) {
  const auto file = hdf5::File::open_to_read(path);
  check_is_experiment(file);
  ExperimentFacts facts;
  facts.uuid = file.text_attribute("uuid"), facts.name = file.text_attribute("name");
  facts.status = file.text_attribute("status"), facts.config_yaml = file.text_attribute("config");
  facts.version = file.text_attribute("weightscope_version"), facts.created = file.text_attribute("created");
  facts.layers = axis_length(file, "layer"), facts.heads = axis_length(file, "head");
  facts.steps = steps_of(file);
  for (const auto& segment : read_table<SegmentRow>(file)) facts.world_sizes.push_back(segment.world_size);
  facts.last_loss = std::numeric_limits<double>::quiet_NaN();
  take_rows(facts, file);
  return facts;
}

/// Adds what the tail has beyond the sealed file. False when a file has gone meanwhile: it is sealed now.
bool add_tail(ExperimentFacts& facts, const RunFiles& files) {
  for (const auto& path : files.tail_files()) {
    try {
      const auto file = hdf5::File::open_to_read(path);
      const auto steps = steps_of(file);
      if (file.text_attribute("uuid") != facts.uuid || steps.empty()) continue;
      if (std::binary_search(facts.steps.begin(), facts.steps.end(), steps.front())) continue;
      facts.steps.push_back(steps.front());
      take_rows(facts, file);
    } catch (const Error&) {
      if (!is_there(path)) return false;
      throw;
    }
  }
  return true;
}

}  // namespace

std::string recorded_config(const fs::path& path) {
  const auto lock = hdf5::exclusive();
  const auto file = hdf5::File::open_to_read(path);
  check_is_experiment(file);
  return file.text_attribute("config");
}

ExperimentFacts inspect_experiment(const fs::path& path) {
  const auto lock = hdf5::exclusive();
  std::error_code unknown;
  const bool directory = fs::is_directory(path, unknown);
  const RunFiles files{directory ? path : path.parent_path()};
  const auto sealed = directory ? files.sealed() : path;
  require(is_there(sealed), Fault::input, sealed.string() + " does not exist");
  if (sealed.filename() != files.sealed().filename()) return sealed_facts(sealed);
  for (;;) {
    auto facts = sealed_facts(sealed);
    if (add_tail(facts, files)) return facts;
  }
}

}  // namespace weightscope

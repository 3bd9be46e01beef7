#include "core/file_io.hpp"
#include "core/log.hpp"
#include "store/experiment_impl.hpp"
#include "store/fold.hpp"
#include "store/rewind.hpp"

namespace weightscope {
namespace {

/// What a run may not change on the way. The rest (how far it goes, what it was started with) follows the new
/// header; what is recorded per snapshot stays as the file has it.
void check_same_run(const ExperimentHeader& file, const ExperimentHeader& now,
                    const std::filesystem::path& path) {
  const auto expect = [&](bool same, const std::string& what) {
    require(same, Fault::input,
            path.string() + " is not this run's: its " + what + " differs; give another --output");
  };
  expect(file.name == now.name, "name (" + file.name + ")");
  expect(file.layers == now.layers, "number of layers (" + std::to_string(file.layers) + ")");
  expect(file.heads == now.heads, "number of heads (" + std::to_string(file.heads) + ")");
  expect(file.parameters == now.parameters, "list of parameters");
}

/// The last job's row, when that job could not write how it ended.
std::optional<SegmentRow> unfinished_segment(const hdf5::File& file) {
  auto rows = read_table<SegmentRow>(file);
  if (rows.empty() || rows.back().status != "running") return std::nullopt;
  rows.back().status = "failed";
  return rows.back();
}

}  // namespace

ExperimentFile ExperimentFile::resume(const std::filesystem::path& run, const ExperimentHeader& header,
                                      std::int64_t step) {
  const auto lock = hdf5::exclusive();
  auto impl = std::make_unique<Impl>();
  impl->files = {run};
  const auto& files = impl->files;
  {
    const auto file = hdf5::File::open_to_read(files.sealed());
    impl->header = header_of(file), impl->identity = identity_of(file);
    check_same_run(impl->header, header, files.sealed());
    impl->segment = unfinished_segment(file);
  }
  impl->header.config_yaml = header.config_yaml, impl->header.version = header.version;
  if (header.gradients && !impl->header.gradients)
    log_warning(
        "gradients are not recorded: the run was begun without monitor.gradients, and its file has no "
        "place for them");
  std::string missing;
  for (const auto& name : impl->header.lacks) missing += (missing.empty() ? "" : ", ") + name;
  if (!missing.empty())
    log_warning(files.sealed().string() + " was begun by an earlier weightscope and goes on without " +
                missing);
  make_directories(files.tail());
  fold({files, impl->header, impl->identity, impl->pending, impl->segment});
  impl->segment.reset();
  rewind(files, impl->header, impl->identity, step);
  impl->superseded = Superseded(files.set_aside_files(), impl->header, step);
  const auto file = hdf5::File::open_to_read(files.sealed());
  const auto steps =
      std::get<std::vector<std::int64_t>>(file.read(snapshot_datasets(impl->header).front().spec));
  if (!steps.empty()) impl->last_snapshot = steps.back();
  impl->updates = step;
  for (const auto& alarm : read_table<AlarmRow>(file))
    if (alarm.step == step) impl->known_alarms.push_back(alarm);
  for (const auto& eval : read_table<EvalRow>(file))
    if (eval.step == step) impl->known_evals.push_back(eval);
  for (const auto& probe : read_table<ProbeRow>(file, impl->header))
    if (probe.step == step) impl->known_probes.push_back(probe);
  for (const auto& spectra : read_table<SpectraRow>(file, impl->header))
    if (spectra.step == step) impl->known_spectra.push_back(spectra);
  return ExperimentFile(std::move(impl));
}

}  // namespace weightscope

#include "store/experiment_file.hpp"

#include <algorithm>
#include <utility>

#include "core/file_io.hpp"
#include "core/log.hpp"
#include "store/experiment_impl.hpp"
#include "store/fold.hpp"

namespace weightscope {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

/// A row of what is measured at a cadence of its own; such tables came later than the first files. impl:
/// ExperimentFile's; known: rows of the step at which the run goes on.
template <class Impl, class Row>
void add_measured(Impl& impl, const Row& row, bool has_place, bool& warned, const std::vector<Row>& known,
                  const char* what) {
  const auto lock = hdf5::exclusive();
  if (!has_place) {
    if (!std::exchange(warned, true))
      log_warning(std::string(what) +
                  " are not recorded: the run was begun by a version whose file has no place for them");
    return;
  }
  impl.check(row);
  for (const auto& before : known)
    if (before.step == row.step) return;
  impl.superseded.compare(row, impl.header);
  impl.template pending_rows<Row>().push_back(row);
}

}  // namespace

void ExperimentFile::Impl::check(const Snapshot& s) const {
  const auto layers = static_cast<std::size_t>(header.layers), heads = static_cast<std::size_t>(header.heads);
  require(s.components.size() == layers * kComponentNames.size() && s.heads.size() == layers * 3 * heads &&
              s.parameters.size() == header.parameters.size() &&
              s.update_ratio.size() == header.parameters.size(),
          Fault::internal,
          "snapshot of step " + std::to_string(s.step) + " does not have the shape of the file");
  const auto fits = [&](std::size_t size, std::size_t whole) { return size == 0 || size == whole; };
  require(fits(s.gradient_components.size(), s.components.size()) &&
              fits(s.gradient_parameters.size(), s.parameters.size()) &&
              fits(s.budget_components.size(), s.components.size()) &&
              fits(s.budget_parameters.size(), s.parameters.size()),
          Fault::internal,
          "gradients of step " + std::to_string(s.step) + " do not have the shape of the file");
}

void ExperimentFile::Impl::check(const ProbeRow& row) const {
  const auto layers = static_cast<std::size_t>(header.layers),
             heads = layers * static_cast<std::size_t>(header.heads);
  require(row.attention_logit_max.size() == heads && row.attention_logit_rms.size() == heads &&
              row.attention_entropy.size() == heads && row.residual_rms.size() == layers + 1,
          Fault::internal,
          "probe of step " + std::to_string(row.step) + " does not have the shape of the file");
}

void ExperimentFile::Impl::check(const SpectraRow& row) const {
  const auto layers = static_cast<std::size_t>(header.layers), matrices = layers * kComponentNames.size();
  for (const auto* column : {&row.spectral_norm, &row.stable_rank, &row.participation_ratio, &row.alpha,
                             &row.alpha_xmin, &row.alpha_ks})
    require(column->size() == matrices, Fault::internal,
            "spectra of step " + std::to_string(row.step) + " do not have the shape of the file");
  require(row.qk_spectral_norm.size() == layers * static_cast<std::size_t>(header.heads), Fault::internal,
          "spectra of step " + std::to_string(row.step) + " do not have the shape of the file");
}

void ExperimentFile::Impl::write_tail(const Snapshot& snapshot) const {
  const auto path = files.tail_file(snapshot.step);
  const fs::path temporary = path.string() + ".tmp";
  const Unfinished guard(temporary);
  auto file = create_layout(temporary, header, identity, FileKind::tail);
  for (const auto& dataset : snapshot_datasets(header)) file.write(dataset.spec, 0, dataset.row(snapshot));
  file.write(parameter_count_spec(header), 0, parameter_counts(snapshot));
  for (const auto& spec : growing_datasets(header))
    if (in_tail(spec)) file.write(spec, 0, table_values(spec, pending));
  file.write(row_index_spec("alarms", 0, true), 0,
             row_numbers(0, std::get<std::vector<AlarmRow>>(pending).size()));
  file.close();
  sync_path(temporary);
  rename_durably(temporary, path);
}

/// Up to what stands in the rows: an update that was begun and failed is none.
void ExperimentFile::Impl::segment_goes_to(double seconds) {
  if (!segment) return;
  segment->end_step = std::max(updates, segment->start_step);
  segment->seconds = seconds;
}

void ExperimentFile::Impl::fold_all(const std::string& status) {
  fold({files, header, identity, pending, segment, status}, [&] {
    begun = begun || !pending_rows<SegmentRow>().empty();
    pending = {};
  });
  if (!superseded.confirmed()) return;
  for (const auto& path : files.set_aside_files()) remove_file(path);
  std::error_code ignored;
  fs::remove(files.set_aside(), ignored);
}

ExperimentFile::ExperimentFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ExperimentFile::ExperimentFile(ExperimentFile&&) noexcept = default;
ExperimentFile::~ExperimentFile() = default;

ExperimentFile ExperimentFile::create(const fs::path& run, const ExperimentHeader& header) {
  const auto lock = hdf5::exclusive();
  auto impl = std::make_unique<Impl>();
  impl->files = {run}, impl->header = header, impl->identity = new_identity();
  const auto& files = impl->files;
  require(!fs::exists(files.sealed()), Fault::output,
          files.sealed().string() + " exists already (it is never overwritten) give another --output");
  require(files.tail_files().empty(), Fault::output,
          files.tail().string() + " holds snapshots of a run without experiment.h5; move it away");
  make_directories(files.tail());
  remove_file(files.temporary());
  create_layout(files.temporary(), header, impl->identity, FileKind::sealed).close();
  sync_path(files.temporary());
  rename_durably(files.temporary(), files.sealed());
  return ExperimentFile(std::move(impl));
}

void ExperimentFile::add(const TrainRow& row) {
  const auto lock = hdf5::exclusive();
  impl_->superseded.compare(row);
  impl_->updates = std::max(impl_->updates, row.step + 1);
  impl_->pending_rows<TrainRow>().push_back(row);
}

void ExperimentFile::add(const EvalRow& row) {
  const auto lock = hdf5::exclusive();
  for (const auto& known : impl_->known_evals)
    if (known.step == row.step) return;
  impl_->superseded.compare(row);
  impl_->pending_rows<EvalRow>().push_back(row);
}

void ExperimentFile::add(const ProbeRow& row) {
  add_measured(*impl_, row, impl_->header.probes, impl_->warned_of_probes, impl_->known_probes, "probes");
}

void ExperimentFile::add(const SpectraRow& row) {
  add_measured(*impl_, row, impl_->header.spectra, impl_->warned_of_spectra, impl_->known_spectra, "spectra");
}

void ExperimentFile::add(const AlarmRow& row) {
  for (const auto& known : impl_->known_alarms)
    if (known.step == row.step && known.rule == row.rule && known.target == row.target) return;
  impl_->pending_rows<AlarmRow>().push_back(row);
}

void ExperimentFile::begin_segment(const SegmentRow& row) {
  const auto lock = hdf5::exclusive();
  if (!impl_->begun) impl_->pending_rows<SegmentRow>() = {row};  // not once more when it is tried again
  impl_->segment.reset();                                        // a new row, nothing is replaced
  impl_->fold_all("running");
  impl_->segment = row, impl_->segment_began = Clock::now(), impl_->begun = false;
}

void ExperimentFile::append(const Snapshot& snapshot) {
  const auto lock = hdf5::exclusive();
  impl_->check(snapshot);
  if (snapshot.step == impl_->last_snapshot) {  // taken again where the run goes on: it is in the file
    impl_->superseded.compare_again(snapshot, impl_->header, impl_->files.sealed());
    return;
  }
  require(snapshot.step > impl_->last_snapshot, Fault::internal,
          "snapshot of step " + std::to_string(snapshot.step) + " comes after that of step " +
              std::to_string(impl_->last_snapshot));
  impl_->superseded.compare(snapshot, impl_->header);
  impl_->write_tail(snapshot);
  impl_->pending = {};
  impl_->last_snapshot = snapshot.step;
  impl_->updates = std::max(impl_->updates, snapshot.step);
  if (impl_->files.tail_files().size() >= Impl::kMostTailFiles) seal();
}

void ExperimentFile::seal() {
  const auto lock = hdf5::exclusive();
  impl_->segment_goes_to(std::chrono::duration<double>(Clock::now() - impl_->segment_began).count());
  impl_->fold_all("running");
}

void ExperimentFile::close(const std::string& status, double seconds) {
  const auto lock = hdf5::exclusive();
  impl_->segment_goes_to(seconds);
  if (impl_->segment) impl_->segment->status = status;
  impl_->fold_all(status == kRolledBack ? "running" : status);
  std::error_code ignored;
  fs::remove(impl_->files.tail(), ignored);  // empty: a closed run is one file
}

const std::vector<std::string>& ExperimentFile::differences() const {
  return impl_->superseded.differences();
}
std::string ExperimentFile::uuid() const { return impl_->identity.uuid; }

}  // namespace weightscope

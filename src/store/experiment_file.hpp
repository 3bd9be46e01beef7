#pragma once
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "monitor/snapshot.hpp"

namespace weightscope {

/// Of a segment that another one of the same job follows; the file's own status stays "running".
inline constexpr const char* kRolledBack = "rolled back";

/// One row of /train, /eval, /probe, /spectra, /alarms, /init and /segments. Member names are dataset names.
struct TrainRow {
  std::int64_t step = 0;
  double loss = 0, lr = 0, grad_norm = 0, tokens_per_second = 0, step_seconds = 0;
};
struct EvalRow {
  std::int64_t step = 0;
  double loss = 0;
};
struct ProbeRow {
  std::int64_t step = 0;
  /// Layer by layer, head by head.
  std::vector<double> attention_logit_max, attention_logit_rms, attention_entropy;
  std::vector<double> residual_rms;  ///< one more than layers
};
struct SpectraRow {
  std::int64_t step = 0;
  /// Layer by layer, component by component.
  std::vector<double> spectral_norm, stable_rank, participation_ratio, alpha, alpha_xmin, alpha_ks;
  std::vector<double> qk_spectral_norm;  ///< layer by layer, head by head
};
struct AlarmRow {
  std::int64_t step = 0;
  std::string rule, severity, target;
  double value = 0, threshold = 0;
  std::string message;
};
struct InitRow {
  std::string name, shape, kind, scheme;
  double expected_std = 0, std = 0, mean = 0, ci_low = 0, ci_high = 0;
  double p_std = NAN, p_mean = NAN, p_shape = NAN;  ///< NaN: not tested
  std::string tied_to, verdict;
};
struct SegmentRow {
  std::int64_t start_step = 0, end_step = 0;
  int world_size = 1, restart_count = 0;
  std::string backend, devices, hosts, job_id, git, status;
  double seconds = 0;
};

/// Everything about the run that is known before step 0 and goes into the file.
struct ExperimentHeader {
  std::string name, config_yaml, version;
  int layers = 0, heads = 0;
  bool head_summaries = true, head_histograms = false, displacement = true;
  bool probes = true, spectra = true;  ///< false: of a file begun before there was /probe, /spectra
  bool gradients = false;              ///< of updates: gradients, and the budget of the squared norm
  std::vector<std::string> parameters;
  std::vector<std::string> parameter_shapes;  ///< "[768, 2304]", one per parameter; empty when not known
  std::vector<InitRow> init;
  /// Statistics that an earlier version, which began the file, did not have: it goes on without. Steps,
  /// counts and histograms are in every file.
  std::vector<std::string> lacks;
};

/// The experiment file of a run directory: experiment.h5 (sealed, complete at every moment) and tail/STEP.h5
/// (one snapshot each, with the train, eval and alarm rows since the one before). Protocol:
/// docs/file-format.md. Rank 0 only, one thread at a time. Every HDF5 call is checked: Error{output} naming
/// the file.
class ExperimentFile {
 public:
  /// A new file. Error{output} if experiment.h5 exists.
  static ExperimentFile create(const std::filesystem::path& run, const ExperimentHeader& header);
  /// Continues at `step` (the checkpoint's): snapshots with snapshot_step > step and train rows with step >=
  /// `step` are set aside; when append() brings them again they are compared bit for bit (all but wall_time,
  /// tokens_per_second and step_seconds) and differences() names the first that differs. Error{input} if the
  /// file is not this run's.
  static ExperimentFile resume(const std::filesystem::path& run, const ExperimentHeader& header,
                               std::int64_t step);
  ExperimentFile(ExperimentFile&&) noexcept;
  ~ExperimentFile();

  void add(const TrainRow& row);
  void add(const EvalRow& row);
  /// Left out, with one warning, where the file has no /probe.
  void add(const ProbeRow& row);
  void add(const SpectraRow& row);  ///< likewise
  void add(const AlarmRow& row);
  void begin_segment(const SegmentRow& row);
  /// Writes tail/STEP.h5 with the rows added since the last append.
  void append(const Snapshot& snapshot);
  /// Folds the tail into experiment.h5 (copy, append, close, verify, fsync, rename). Also called by append
  /// every 64 snapshots.
  void seal();
  /// Seals with the rows still pending and the final status of the segment and, but for kRolledBack, of the
  /// file: finished, stopped or failed. seconds: wall time of the segment; its end_step follows from the
  /// rows.
  void close(const std::string& status, double seconds);

  const std::vector<std::string>& differences() const;
  std::string uuid() const;

 private:
  struct Impl;
  explicit ExperimentFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// What `weightscope inspect` prints: sealed file and tail together. `path`: experiment.h5 or a run
/// directory.
struct ExperimentFacts {
  std::string uuid, name, status, config_yaml, version, created;
  std::vector<std::int64_t> steps;  ///< snapshot steps
  int layers = 0, heads = 0;
  std::vector<int> world_sizes;
  std::int64_t last_step = -1;
  double last_loss = 0;
  std::int64_t alarms = 0;
};
ExperimentFacts inspect_experiment(const std::filesystem::path& path);
/// The configuration, as YAML, of an experiment file.
std::string recorded_config(const std::filesystem::path& file);

}  // namespace weightscope

#pragma once
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "comm/host_comm.hpp"
#include "comm/tensor_comm.hpp"
#include "comm/watchdog.hpp"
#include "config/run_config.hpp"
#include "data/loader.hpp"
#include "model/gpt.hpp"
#include "model/init_report.hpp"
#include "monitor/digest.hpp"
#include "store/run_lock.hpp"
#include "train/exchange.hpp"
#include "train/optimizer.hpp"
#include "train/progress.hpp"
#include "train/recorder.hpp"
#include "train/saver.hpp"
#include "train/state.hpp"
#include "train/time_limit.hpp"
#include "train/train_step.hpp"

namespace weightscope {

struct TrainerOptions {
  Resume resume;
  ProgressMode progress = ProgressMode::automatic;
  int threads = 1;
  std::string revision = "unknown";               ///< of the program's sources
  std::vector<AlarmRow> undone;                   ///< of steps that this job has rolled back
  const std::atomic<int>* stop_signal = nullptr;  ///< 0: nobody has asked this rank to stop
};

/// How a run ended. The message names the last good checkpoint where it matters.
struct RunStatus {
  std::string status = "finished";  ///< finished, stopped or rolled back
  std::int64_t step = 0;  ///< updates done; rolled back: of the checkpoint to go on from, 0: from the start
  double val_loss = 0;
  std::optional<AlarmRow> undone;  ///< why it was rolled back
  bool by_alarm = false;           ///< stopped by an alarm, not by whoever runs it
};

/// A training run, from an empty or half-filled run directory to its last step. Every member is collective.
///
/// The constructor builds everything in this order: data, run directory and lock, checkpoint or
/// initialization on rank 0, broadcast, replica check, experiment file. What fails on one rank fails on all,
/// or ends them all at once: nothing here is taken apart while the others still count on it.
class Trainer {
 public:
  Trainer(const RunConfig& config, const HostComm& host, const TrainerOptions& options);
  /// Until train.steps, or until any rank is asked to stop or its time is up: then the state is saved first.
  /// "rolled back": another Trainer goes on from the checkpoint of that step.
  RunStatus run();
  const InitReport& init_report() const { return init_report_; }  ///< rank 0, fresh starts

 private:
  void open(const HostComm& host);
  RunStatus train();
  void open_data();
  void open_run(const Resume& resume);
  void initialize_weights();
  /// Weights after `step` updates. True when they differed and are equal now; throws when they are not.
  bool check_replicas(std::int64_t step);
  std::vector<WeightSlice> replicated_state() const;
  void repair_replicas(std::int64_t step, const Divergence& difference);
  void open_record();
  void watch_for_alarms();
  SegmentRow segment(const std::string& hosts) const;
  void note_memory(std::int64_t done);

  void train_step(std::int64_t step);
  /// Takes the result of the step that was begun last, if nobody has yet, and records it.
  StepResult settle();
  bool something_due(std::int64_t done) const;
  void after_update(std::int64_t done, const StepResult& result);
  void evaluate_at(std::int64_t done);
  void probe_at(std::int64_t done);
  void spectra_at(std::int64_t done);
  void snapshot_at(std::int64_t done, const StepResult& last);
  void checkpoint_at(std::int64_t done, bool last);
  /// Records it; throws unless train.nonfinite lets the update be left out.
  void note_nonfinite(std::int64_t step, const StepResult& result);
  RunStatus roll_back(const AlarmRow& alarm);
  void damage_for_test(std::int64_t done);

  double wall_time() const;
  double epoch_of(std::int64_t step) const;
  double tokens_of(std::int64_t step) const;
  std::string last_checkpoint_text() const;
  void finish_checkpoints();               ///< whatever becomes of them
  std::int64_t newest_checkpoint() const;  ///< its step; 0: there is none

  RunConfig config_;
  const HostComm* host_;
  TrainerOptions options_;
  std::filesystem::path run_;
  DevicePlace place_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();

  std::optional<TokenFile> train_file_, val_file_;
  std::string tokenizer_;  ///< meta.json of the training data, for checkpoints
  std::optional<Sampler> sampler_;
  std::optional<RunLock> lock_;
  std::optional<Checkpoint> checkpoint_;  ///< rank 0 only, and only until it is loaded
  std::int64_t first_step_ = 0;
  double earlier_seconds_ = 0, val_loss_ = 0;
  std::int64_t start_bytes_ = 0;  ///< besides the program's files, before anything of this run was allocated

  std::optional<TensorComm> comm_;
  std::unique_ptr<NodeBuffers> node_;  ///< holds the memory of store_ when ranks of a node share it
  std::optional<ParamStore> store_;
  std::optional<Gpt> gpt_;
  std::optional<GradientExchange> exchange_;
  std::optional<Optimizer> optimizer_;
  std::optional<TrainStep> step_;
  InitReport init_report_;
  std::optional<Safetensors> initial_;
  std::optional<Recorder> recorder_;
  std::optional<Saver> saver_;
  std::unique_ptr<Loader> loader_;
  std::optional<Progress> progress_;
  TimeLimit limit_;
  std::optional<std::int64_t> begun_;                 ///< a step whose result is still to come
  std::chrono::steady_clock::time_point step_start_;  ///< of that step, as far as the clock tells
  int skipped_ = 0;                                   ///< updates left out in a row
  double step_seconds_ = 0;                           ///< of the last step
  bool alarm_stops_ = false;                          ///< on all ranks
  std::optional<Watchdog> watchdog_;                  ///< last: it reads other members
};

/// CPU or GPU for this rank: train.device and parallel.backend, GPUs dealt out by local rank. Error{config}
/// when asked for CUDA that is not there.
DevicePlace choose_place(const RunConfig& config, const HostComm& host);

}  // namespace weightscope

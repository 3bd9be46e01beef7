#pragma once
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "comm/host_comm.hpp"
#include "config/run_config.hpp"
#include "core/weight_slice.hpp"
#include "store/experiment_writer.hpp"
#include "train/alarms.hpp"
#include "train/run_log.hpp"
#include "train/train_step.hpp"

namespace weightscope {

/// What goes into the record of a run, and where: rows and snapshots into the experiment file, rows into
/// log.jsonl. All ranks measure; rank 0 alone has a writer and a log.
class Recorder {
 public:
  Recorder(const HostComm& host, std::vector<WeightSlice> slices, SnapshotShape shape);
  /// Rank 0: from here on rows are written. patient: what cannot be written is tried again.
  void open(ExperimentFile file, const std::filesystem::path& run, std::int64_t step, bool patient);
  /// Rank 0: what is recorded from here on raises alarms, as if the watch had seen the whole run.
  void watch(Alarms alarms) { alarms_.emplace(std::move(alarms)); }
  /// The strongest action of the alarms since the last call. Collective.
  AlarmAction alarm_action();

  void add(const TrainRow& row);
  void add(const EvalRow& row);
  void add(const ProbeRow& row);
  void add(const SpectraRow& row);  ///< not into the log
  void add(const AlarmRow& row);
  void begin_segment(const SegmentRow& row);
  void note(const std::string& event, std::int64_t step, const std::string& text);
  /// Planned bytes per rank and the largest peak of any rank above its size at the start; into the log.
  void memory(std::int64_t step, std::int64_t planned_bytes, std::int64_t measured_bytes);
  /// Measures and records the weights after `step` updates, and what `last`, the step before, knows of its
  /// update ({}: there was none). begin_snapshot() does not wait for a GPU, and finish_snapshot(), some steps
  /// later, finds the numbers there. One at a time; finishing when none has begun does nothing. Both
  /// collective.
  void begin_snapshot(std::int64_t step, double epoch, double tokens, double wall_time,
                      const StepResult& last);
  void finish_snapshot();
  /// To be called before the next update is put on this stream of a GPU, outside of a graph.
  void wait_before_writing(void* stream) const { taker_.wait_before_writing(stream); }
  void checkpoint(std::int64_t step, double stall_seconds, double write_seconds);
  /// Rank 0: ready when everything recorded so far is sealed and on disk.
  std::shared_future<void> seal();
  bool failing() const { return writer_ && writer_->failing(); }
  /// Everything recorded so far is on disk when this returns.
  void flush();
  void close(const std::string& status, double seconds);
  /// Differences between rows of an earlier attempt and the recomputed ones; rank 0.
  std::vector<std::string> differences();

 private:
  void raise(const std::vector<AlarmRow>& alarms);

  const HostComm* host_;
  std::vector<WeightSlice> slices_;
  SnapshotTaker taker_;
  Snapshot begun_;             ///< all but the measurements of the weights
  std::vector<double> moved_;  ///< to begun_
  std::optional<ExperimentWriter> writer_;
  std::unique_ptr<RunLog> log_;
  std::optional<Alarms> alarms_;
};

}  // namespace weightscope

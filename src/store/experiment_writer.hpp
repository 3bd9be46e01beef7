#pragma once
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "store/experiment_file.hpp"

namespace weightscope {

/// An ExperimentFile with a thread of its own: what is added is written in order, later. Calls return at once
/// unless more than 8 snapshots (or 65536 rows) wait. What the thread cannot write is thrown by the caller's
/// next call and by every one after it; nothing is written after an error.
///
/// A patient one does not give up: it warns once, tries again with longer and longer pauses, and meanwhile
/// keeps rows and up to 128 snapshots in memory; for each one over that, an alarm says that it was left out.
class ExperimentWriter {
 public:
  explicit ExperimentWriter(ExperimentFile file, bool patient = false);
  ExperimentWriter(ExperimentWriter&&) noexcept;
  ExperimentWriter& operator=(ExperimentWriter&&) = delete;
  /// Waits for what was added. An error that nobody has seen is logged.
  ~ExperimentWriter();

  void add(const TrainRow& row);
  void add(const EvalRow& row);
  void add(const ProbeRow& row);
  void add(const SpectraRow& row);
  void add(const AlarmRow& row);
  void begin_segment(const SegmentRow& row);
  void append(Snapshot snapshot);
  /// Ready when everything added so far is sealed and on disk; or holds the error.
  std::shared_future<void> seal();
  /// Waits: the file is on disk when this returns.
  void close(const std::string& status, double seconds);

  /// Waits for everything added so far. A patient one gives up after a few more attempts.
  void flush();
  std::vector<std::string> differences();  ///< of rows written so far; flush() first for all
  std::string uuid() const;
  bool failing() const;  ///< what it tries to write cannot be written for now

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weightscope

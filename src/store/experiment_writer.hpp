#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "store/experiment_file.hpp"

namespace weightscope {

/// An ExperimentFile with a thread of its own: what is added is written in order, later. Calls return at once
/// unless more than 8 snapshots (or 65536 rows) wait. What the thread cannot write is thrown by the caller's
/// next call and by every one after it; nothing is written after an error.
class ExperimentWriter {
 public:
  explicit ExperimentWriter(ExperimentFile file);
  ExperimentWriter(ExperimentWriter&&) noexcept;
  ExperimentWriter& operator=(ExperimentWriter&&) = delete;
  /// Waits for what was added. An error that nobody has seen is logged.
  ~ExperimentWriter();

  void add(const TrainRow& row);
  void add(const EvalRow& row);
  void add(const AlarmRow& row);
  void begin_segment(const SegmentRow& row);
  void append(Snapshot snapshot);
  void seal();
  /// Waits: the file is on disk when this returns.
  void close(const std::string& status, std::int64_t end_step, double seconds);

  void flush();                            ///< waits for everything added so far
  std::vector<std::string> differences();  ///< of rows written so far; flush() first for all
  std::string uuid() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weightscope

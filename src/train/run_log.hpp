#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "store/experiment_file.hpp"

namespace weightscope {

/// RUN/log.jsonl: one JSON object a line, "event" first, the names of the experiment file. Rank 0 only.
/// Lines that cannot be written are Error{output}; a patient log warns once and writes them with a later
/// line.
class RunLog {
 public:
  /// Continues at `step`: lines of later steps, and a torn last line, are dropped first. Error{output}.
  RunLog(const std::filesystem::path& run, std::int64_t step, bool patient = false);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  void write(const TrainRow& row);
  void write(const EvalRow& row);
  void write(const ProbeRow& row);  ///< its extremes; the rest is in the experiment file
  void write(const AlarmRow& row);
  /// {"event": event, "step": step, "text": text}
  void note(const std::string& event, std::int64_t step, const std::string& text);
  void memory(std::int64_t step, std::int64_t planned_bytes, std::int64_t measured_bytes);
  /// How long training waited for a checkpoint, and how long it took until it was on disk [s].
  void checkpoint(std::int64_t step, double stall_seconds, double write_seconds);

 private:
  void line(const std::string& text);
  std::filesystem::path path_;
  bool patient_;
  int fd_;
  std::string waiting_;  ///< not in the file yet; begins inside a line when the disk was full there
};

}  // namespace weightscope

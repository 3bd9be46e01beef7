#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "store/experiment_file.hpp"

namespace weightscope {

/// RUN/log.jsonl: one JSON object a line, "event" first, the names of the experiment file. Rank 0 only.
class RunLog {
 public:
  /// Continues at `step`: lines of later steps, and a torn last line, are dropped first. Error{output}.
  RunLog(const std::filesystem::path& run, std::int64_t step);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  void write(const TrainRow& row);
  void write(const EvalRow& row);
  void write(const AlarmRow& row);
  /// {"event": event, "step": step, "text": text}
  void note(const std::string& event, std::int64_t step, const std::string& text);
  void memory(std::int64_t step, std::int64_t planned_bytes, std::int64_t measured_bytes);

 private:
  void line(const std::string& text);
  std::filesystem::path path_;
  int fd_;
};

}  // namespace weightscope

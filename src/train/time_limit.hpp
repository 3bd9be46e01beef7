#pragma once
#include <chrono>
#include <cstdint>

namespace weightscope {

/// When a run has to save and leave: train.max_seconds after its start, or shortly before its Slurm job ends
/// (SLURM_JOB_END_TIME, where Slurm sets it: 22.05 does not), whichever comes first.
class TimeLimit {
 public:
  using Clock = std::chrono::system_clock;

  /// max_seconds 0: none. Before the end of the job `margin` is left for the checkpoint, but no more than a
  /// tenth of what the job still has: a short one would save after every step.
  TimeLimit(Clock::time_point start, double max_seconds,
            std::chrono::seconds margin = std::chrono::seconds(120));

  /// Whether another step of about `step_seconds` would be too much.
  bool reached(Clock::time_point now, double step_seconds) const;

 private:
  Clock::time_point end_ = Clock::time_point::max();
};

}  // namespace weightscope

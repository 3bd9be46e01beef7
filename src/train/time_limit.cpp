#include "train/time_limit.hpp"

#include <algorithm>
#include <cstdlib>

namespace weightscope {
namespace {

TimeLimit::Clock::duration span(double seconds) {
  return std::chrono::duration_cast<TimeLimit::Clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

TimeLimit::TimeLimit(Clock::time_point start, double max_seconds, std::chrono::seconds margin) {
  if (max_seconds > 0) end_ = start + span(std::min(max_seconds, 1e9));
  const char* job = std::getenv("SLURM_JOB_END_TIME");
  const long long seconds = job == nullptr ? 0 : std::atoll(job);
  if (seconds <= 0) return;
  const auto end = Clock::from_time_t(static_cast<std::time_t>(seconds));
  end_ = std::min(end_, end - std::min<Clock::duration>(margin, (end - start) / 10));
}

bool TimeLimit::reached(Clock::time_point now, double step_seconds) const {
  return end_ != Clock::time_point::max() && now + span(step_seconds) > end_;
}

}  // namespace weightscope

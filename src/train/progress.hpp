#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace weightscope {

enum class ProgressMode { automatic, plain, none };

/// How far the run is, for a person: one line that rewrites itself on a terminal, or a line every ten seconds
/// in a log.
class Progress {
 public:
  Progress(ProgressMode mode, std::int64_t first_step, std::int64_t steps);
  /// After `done` updates. Prints when it is time.
  void update(std::int64_t done, double loss, double tokens_per_second);
  /// Ends the rewriting line so that a log line can follow.
  void pause();

 private:
  using Clock = std::chrono::steady_clock;
  bool shown_, rewrites_, open_ = false;
  std::int64_t first_, steps_;
  Clock::time_point start_ = Clock::now(), last_{};
};

/// "1:02:03" or "4:05".
std::string duration_text(double seconds);

}  // namespace weightscope

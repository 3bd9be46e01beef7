#include "train/progress.hpp"

#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace weightscope {

std::string duration_text(double seconds) {
  const auto s = static_cast<long>(std::lround(std::max(0.0, seconds)));
  char text[32];
  if (s >= 3600)
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
  return text;
}

Progress::Progress(ProgressMode mode, std::int64_t first_step, std::int64_t steps)
    : shown_(mode != ProgressMode::none),
      rewrites_(mode == ProgressMode::automatic && isatty(STDERR_FILENO) == 1),
      first_(first_step),
      steps_(steps) {}

void Progress::update(std::int64_t done, double loss, double tokens_per_second) {
  if (!shown_) return;
  const auto now = Clock::now();
  const bool last = done == steps_,
             due = std::chrono::duration<double>(now - last_).count() >= (rewrites_ ? 0.2 : 10.0);
  if (!last && !due) return;
  last_ = now;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double left = elapsed * static_cast<double>(steps_ - done) /
                      static_cast<double>(std::max<std::int64_t>(1, done - first_));
  std::fprintf(stderr, "%sweightscope: step %ld/%ld  loss %.4f  %.0f tokens/s  elapsed %s  left %s%s",
               rewrites_ ? "\r" : "", static_cast<long>(done), static_cast<long>(steps_), loss,
               tokens_per_second, duration_text(elapsed).c_str(), duration_text(left).c_str(),
               rewrites_ ? "\033[K" : "\n");
  std::fflush(stderr);
  open_ = rewrites_;
  if (last) pause();
}

void Progress::pause() {
  if (open_) std::fputc('\n', stderr);
  open_ = false;
}

}  // namespace weightscope

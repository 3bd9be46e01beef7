#include "train/schedule.hpp"

#include <algorithm>
#include <cmath>

#include "core/fault_point.hpp"

namespace weightscope {
namespace {

double scheduled(const RunConfig& config, std::int64_t step) {
  const auto& s = config.schedule;
  const double lr = config.optimizer.lr;
  if (step < s.warmup_steps) return lr * static_cast<double>(step + 1) / static_cast<double>(s.warmup_steps);
  const auto total = static_cast<double>(config.train.steps), at = static_cast<double>(step),
             start = static_cast<double>(s.warmup_steps);
  const auto falling = [&](double from) {
    return std::clamp((at - from) / std::max(1.0, total - from), 0.0, 1.0);
  };
  switch (s.name) {
    case ScheduleName::constant:
      return lr;
    case ScheduleName::linear:
      return lr * (1 - (1 - s.min_ratio) * falling(start));
    case ScheduleName::cosine:
      return lr * (s.min_ratio +
                   (1 - s.min_ratio) * 0.5 * (1 + std::cos(3.14159265358979323846 * falling(start))));
    case ScheduleName::wsd:
      return lr * (1 - (1 - s.min_ratio) * falling(std::max(start, total * (1 - s.decay_fraction))));
  }
  return lr;
}

}  // namespace

double learning_rate(const RunConfig& config, std::int64_t step) {
  return scheduled(config, step) * (faulty_from("rate", step) ? 30 : 1);
}

}  // namespace weightscope

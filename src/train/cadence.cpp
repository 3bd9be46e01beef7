#include "train/cadence.hpp"

#include <bit>
#include <cmath>

namespace weightscope {
namespace {

/// Cadence periods that have passed after `step` updates.
double periods(const RunConfig& c, std::int64_t step, std::uint64_t blocks) {
  if (c.monitor.every.epochs > 0) {
    const double epochs =
        static_cast<double>(step) * static_cast<double>(c.train.global_batch) / static_cast<double>(blocks);
    return std::floor(epochs / c.monitor.every.epochs + 1e-9);
  }
  return c.monitor.every.steps > 0 ? static_cast<double>(step / c.monitor.every.steps) : 0;
}

}  // namespace

bool snapshot_due(const RunConfig& c, std::int64_t step, std::uint64_t blocks) {
  if (step == 0 || step == c.train.steps) return true;
  const double passed = periods(c, step, blocks);
  if (c.monitor.early == Early::log2 && passed == 0 && std::has_single_bit(static_cast<std::uint64_t>(step)))
    return true;
  return passed > periods(c, step - 1, blocks);
}

bool due(std::int64_t every, std::int64_t step, std::int64_t last) {
  return every > 0 && step > 0 && (step % every == 0 || step == last);
}

}  // namespace weightscope

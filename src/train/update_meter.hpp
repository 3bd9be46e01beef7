#pragma once
#include <vector>

#include "monitor/by_target.hpp"
#include "monitor/norm_budget.hpp"
#include "monitor/summary.hpp"
#include "train/micro_step.hpp"

namespace weightscope {

/// What monitor.gradients records of an update. Empty where it was not measured, and on all ranks but 0.
struct UpdateRecord {
  ByTarget<Measurement> gradient;  ///< mean over the global batch, before clipping
  ByTarget<NormBudget> budget;     ///< where the change of ‖W‖² came from
};

/// Measures single updates of AdamW. Each rank sees to the slices that it would own in a snapshot, in whole
/// buffers, so the numbers are the same bits for any number of ranks whose gradients and weights are. On
/// CPUs.
class UpdateMeter {
 public:
  explicit UpdateMeter(const TrainParts& parts);
  /// Keeps the weights of this rank's slices. Before the update, while no rank writes weights.
  void keep_weights();
  /// Of update number `step` (from 1), made with learning rate `lr`: after share_updated_weights().
  /// Afterwards the gradient is no longer there. Collective.
  UpdateRecord measure(std::int64_t step, double lr);

 private:
  std::vector<WeightSlice> mine(const std::vector<WeightSlice>& all) const;
  ByTarget<Measurement> measure_gradient();
  ByTarget<NormBudget> measure_budget(std::int64_t step, double lr);

  TrainParts parts_;
  SnapshotShape shape_;
  std::vector<WeightSlice> slices_;  ///< of the master weights
  std::vector<int> owner_;
  std::vector<float> before_;  ///< of this rank's slices, one after the other
};

}  // namespace weightscope

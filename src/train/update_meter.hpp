#pragma once
#include <ATen/core/Tensor.h>

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
/// buffers, so the numbers are the same bits for any number of ranks whose gradients and weights are. The
/// slices of a GPU are copied to the host, which waits for them, and measured there.
class UpdateMeter {
 public:
  explicit UpdateMeter(const TrainParts& parts);
  /// Keeps the weights of this rank's slices. Before the update, while no rank writes weights.
  void keep_weights();
  /// Of update number `step` (from 1), made with learning rate `lr`: after share_updated_weights() and before
  /// the next gradient. Afterwards the gradient is no longer there. Collective.
  UpdateRecord measure(std::int64_t step, double lr);

 private:
  struct HostSlices {
    std::vector<WeightSlice> slices;
    at::Tensor memory;  ///< of copies, one after the other; undefined where none were made
  };
  /// This rank's slices of something of the size of the weights, in host memory: copies on request and when
  /// they lie on a GPU, otherwise where they are.
  HostSlices mine(const at::Tensor& flat, bool copied = false) const;
  ByTarget<Measurement> measure_gradient();
  ByTarget<NormBudget> measure_budget(std::int64_t step, double lr);

  TrainParts parts_;
  SnapshotShape shape_;
  std::vector<WeightSlice> slices_;  ///< of the master weights
  std::vector<int> owner_;
  HostSlices before_;
};

}  // namespace weightscope

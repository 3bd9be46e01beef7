#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "config/run_config.hpp"
#include "model/param_store.hpp"
#include "train/message_exchange.hpp"

namespace weightscope {

/// AdamW over this rank's shard of the flat buffers: moments exist for its elements only (ZeRO-1, Rajbhandari
/// et al. 2020, when the shard is not everything).
class Optimizer {
 public:
  /// Borrows the store.
  Optimizer(const OptimizerConfig& config, const ParamStore& store, Shard shard);

  /// Update number `step` (from 1) with learning rate lr from the flat `gradient`, which is multiplied by
  /// grad_scale (clipping) on the way. With `measure`, returns Σ (Δw)² of this shard for each parameter, in
  /// table order.
  std::vector<double> update(std::int64_t step, double lr, double grad_scale, const at::Tensor& gradient,
                             bool measure);

  Shard shard() const { return shard_; }
  /// Moments of the shard.
  const at::Tensor& exp_avg() const { return exp_avg_; }
  const at::Tensor& exp_avg_sq() const { return exp_avg_sq_; }

 private:
  OptimizerConfig config_;
  const ParamStore* store_;
  Shard shard_;
  at::Tensor exp_avg_, exp_avg_sq_;
};

}  // namespace weightscope

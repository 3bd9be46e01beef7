#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "comm/host_comm.hpp"
#include "config/run_config.hpp"
#include "model/param_store.hpp"

namespace weightscope {

/// AdamW over the flat buffers, or over this rank's shard of them (ZeRO-1, Rajbhandari et al. 2020): moments
/// exist for elements [begin, end) only.
class Optimizer {
 public:
  /// Borrows the store. world, rank: of the shards; zero = 0 keeps everything on every rank.
  Optimizer(const OptimizerConfig& config, const ParamStore& store, int zero, int rank, int world);

  /// L2 norm of the whole gradient; with shards the parts are summed over ranks (collective then).
  double gradient_norm(const HostComm& host) const;
  /// Update number `step` (from 1) with learning rate lr; gradients are multiplied by grad_scale (clipping)
  /// on the way. With `measure`, returns Σ (Δw)² of this rank's part for each parameter, in table order.
  std::vector<double> update(std::int64_t step, double lr, double grad_scale, bool measure);

  std::int64_t begin() const { return begin_; }
  std::int64_t end() const { return end_; }
  bool sharded() const { return end_ - begin_ < store_->size(); }
  /// Moments of [begin, end).
  const at::Tensor& exp_avg() const { return exp_avg_; }
  const at::Tensor& exp_avg_sq() const { return exp_avg_sq_; }

 private:
  OptimizerConfig config_;
  const ParamStore* store_;
  std::int64_t begin_, end_;
  at::Tensor exp_avg_, exp_avg_sq_;
};

}  // namespace weightscope

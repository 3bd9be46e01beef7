#include "train/optimizer.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "ops/ops.hpp"

namespace weightscope {

Optimizer::Optimizer(const OptimizerConfig& config, const ParamStore& store, Shard shard)
    : config_(config), store_(&store), shard_(shard) {
  exp_avg_ = at::zeros({shard.size()}, store.master().options());
  exp_avg_sq_ = at::zeros({shard.size()}, store.master().options());
}

std::vector<double> Optimizer::update(std::int64_t step, double lr, double grad_scale,
                                      const at::Tensor& gradient, bool measure) {
  const auto& table = store_->parameters();
  std::vector<double> moved(measure ? table.size() : 0);
  ops::AdamW h{lr, config_.beta1, config_.beta2, config_.eps, 0, grad_scale, step};
  for (std::size_t i = 0; i < table.size(); ++i) {
    const std::int64_t from = std::max(shard_.begin, table[i].offset),
                       to = std::min(shard_.end, table[i].offset + table[i].storage);
    if (from >= to) continue;
    const auto part = [&](const at::Tensor& flat, std::int64_t origin) {
      return flat.narrow(0, from - origin, to - from);
    };
    h.step_scale = table[i].lr_scale;
    h.weight_decay = table[i].decays() ? config_.weight_decay : 0;
    const auto delta2 =
        measure ? at::zeros({1}, store_->master().options().dtype(at::kDouble)) : at::Tensor();
    ops::adamw(part(store_->master(), 0), part(gradient, 0), part(exp_avg_, shard_.begin),
               part(exp_avg_sq_, shard_.begin), part(store_->work(), 0), h, delta2);
    if (measure) moved[i] = delta2.item<double>();
  }
  return moved;
}

}  // namespace weightscope

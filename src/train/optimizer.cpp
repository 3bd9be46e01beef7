#include "train/optimizer.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "ops/ops.hpp"

namespace weightscope {

Optimizer::Optimizer(const OptimizerConfig& config, const ParamStore& store, int zero, int rank, int world)
    : config_(config), store_(&store), begin_(0), end_(store.size()) {
  if (zero == 1) {
    const std::int64_t part = store.size() / world;
    begin_ = rank * part, end_ = begin_ + part;
  }
  exp_avg_ = at::zeros({end_ - begin_}, store.master().options());
  exp_avg_sq_ = at::zeros({end_ - begin_}, store.master().options());
}

double Optimizer::gradient_norm(const HostComm& host) const {
  const double mine = ops::sum_of_squares(store_->grad().narrow(0, begin_, end_ - begin_)).item<double>();
  return std::sqrt(sharded() ? host.sum(mine) : mine);
}

std::vector<double> Optimizer::update(std::int64_t step, double lr, double grad_scale, bool measure) {
  const auto& table = store_->parameters();
  std::vector<double> moved(measure ? table.size() : 0);
  ops::AdamW h{lr, config_.beta1, config_.beta2, config_.eps, 0, grad_scale, step};
  for (std::size_t i = 0; i < table.size(); ++i) {
    const std::int64_t from = std::max(begin_, table[i].offset),
                       to = std::min(end_, table[i].offset + table[i].storage);
    if (from >= to) continue;
    const auto part = [&](const at::Tensor& flat, std::int64_t origin) {
      return flat.narrow(0, from - origin, to - from);
    };
    h.weight_decay = table[i].decays() ? config_.weight_decay : 0;
    const auto delta2 =
        measure ? at::zeros({1}, store_->master().options().dtype(at::kDouble)) : at::Tensor();
    ops::adamw(part(store_->master(), 0), part(store_->grad(), 0), part(exp_avg_, begin_),
               part(exp_avg_sq_, begin_), part(store_->work(), 0), h, delta2);
    if (measure) moved[i] = delta2.item<double>();
  }
  return moved;
}

}  // namespace weightscope

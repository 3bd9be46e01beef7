#include "train/update_meter.hpp"

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "model/slices.hpp"
#include "monitor/scaled.hpp"

namespace weightscope {
namespace {

const float* floats(const WeightSlice& slice) { return static_cast<const float*>(slice.weights.data); }

}  // namespace

UpdateMeter::UpdateMeter(const TrainParts& parts)
    : parts_(parts),
      shape_{parts.config->model.layers, parts.config->model.heads,
             static_cast<int>(parts.store->parameters().size())},
      slices_(slices_of(*parts.store, parts.store->master(), parts.config->model)),
      owner_(share_out(slices_, parts.host->size())) {}

std::vector<WeightSlice> UpdateMeter::mine(const std::vector<WeightSlice>& all) const {
  std::vector<WeightSlice> part;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (owner_[i] == parts_.host->rank()) part.push_back(all[i]);
  return part;
}

void UpdateMeter::keep_weights() {
  before_.clear();
  for (const auto& slice : mine(slices_))
    before_.insert(before_.end(), floats(slice), floats(slice) + slice.weights.count);
}

UpdateRecord UpdateMeter::measure(std::int64_t step, double lr) {
  UpdateRecord record;
  record.gradient = measure_gradient();  // first: the moments travel through the same memory
  record.budget = measure_budget(step, lr);
  return record;
}

ByTarget<Measurement> UpdateMeter::measure_gradient() {
  const auto whole = parts_.exchange->whole_gradient();
  std::vector<Measurement> measured;
  // together(): nobody overwrites shared memory before all have measured.
  parts_.host->together(
      [&] { measured = measure_scaled(mine(slices_of(*parts_.store, whole, parts_.config->model))); });
  return gather_by_target(*parts_.host, slices_, owner_, shape_, std::span<const Measurement>(measured));
}

ByTarget<NormBudget> UpdateMeter::measure_budget(std::int64_t step, double lr) {
  const auto& o = parts_.config->optimizer;
  const auto exp_avg = parts_.exchange->gathered(parts_.optimizer->exp_avg(), 0),
             exp_avg_sq = parts_.exchange->gathered(parts_.optimizer->exp_avg_sq(), 1);
  std::vector<NormBudget> budgets;
  parts_.host->together([&] {
    const auto after = mine(slices_), m = mine(slices_of(*parts_.store, exp_avg, parts_.config->model)),
               v = mine(slices_of(*parts_.store, exp_avg_sq, parts_.config->model));
    const float* before = before_.data();
    for (std::size_t i = 0; i < after.size(); ++i) {
      const auto& p = parts_.store->parameters()[static_cast<std::size_t>(after[i].parameter_index)];
      const AdamWStep adamw{lr, p.decays() ? o.weight_decay : 0, o.beta1, o.beta2, o.eps, step, p.lr_scale};
      const auto count = after[i].weights.count;
      budgets.push_back(
          norm_budget(Updated<float>{before, floats(after[i]), floats(m[i]), floats(v[i]), count}, adamw));
      before += count;
    }
  });
  return gather_by_target(*parts_.host, slices_, owner_, shape_, std::span<const NormBudget>(budgets));
}

}  // namespace weightscope

#include "train/update_meter.hpp"

#include <ATen/ATen.h>

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

UpdateMeter::HostSlices UpdateMeter::mine(const at::Tensor& flat, bool copied) const {
  HostSlices part;
  std::int64_t elements = 0;
  const auto all = slices_of(*parts_.store, flat, parts_.config->model);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (owner_[i] != parts_.host->rank()) continue;
    part.slices.push_back(all[i]);
    elements += static_cast<std::int64_t>(all[i].weights.count);
  }
  if (!copied && flat.is_cpu()) return part;
  part.memory = at::empty({elements}, at::kFloat);
  std::int64_t place = 0;
  for (auto& slice : part.slices) {
    const auto count = static_cast<std::int64_t>(slice.weights.count);
    auto copy = part.memory.narrow(0, place, count);
    copy.copy_(at::from_blob(slice.weights.data, {count}, flat.options()));
    slice.weights = buffer_of(copy);
    place += count;
  }
  return part;
}

void UpdateMeter::keep_weights() {
  parts_.exchange->await_weights();
  before_ = mine(parts_.store->master(), true);
}

UpdateRecord UpdateMeter::measure(std::int64_t step, double lr) {
  parts_.exchange->await_weights();
  UpdateRecord record;
  record.gradient = measure_gradient();  // first: the moments travel through the same memory
  record.budget = measure_budget(step, lr);
  return record;
}

ByTarget<Measurement> UpdateMeter::measure_gradient() {
  const auto whole = parts_.exchange->whole_gradient();
  std::vector<Measurement> measured;
  // together(): nobody overwrites shared memory before all have measured.
  parts_.host->together([&] { measured = measure_scaled(mine(whole).slices); });
  return gather_by_target(*parts_.host, slices_, owner_, shape_, std::span<const Measurement>(measured));
}

ByTarget<NormBudget> UpdateMeter::measure_budget(std::int64_t step, double lr) {
  const auto& o = parts_.config->optimizer;
  const auto exp_avg = parts_.exchange->gathered(parts_.optimizer->exp_avg(), 0),
             exp_avg_sq = parts_.exchange->gathered(parts_.optimizer->exp_avg_sq(), 1);
  std::vector<NormBudget> budgets;
  parts_.host->together([&] {
    const auto after = mine(parts_.store->master()), m = mine(exp_avg), v = mine(exp_avg_sq);
    for (std::size_t i = 0; i < after.slices.size(); ++i) {
      const auto& slice = after.slices[i];
      const auto& p = parts_.store->parameters()[static_cast<std::size_t>(slice.parameter_index)];
      const AdamWStep adamw{lr, p.decays() ? o.weight_decay : 0, o.beta1, o.beta2, o.eps, step, p.lr_scale};
      budgets.push_back(
          norm_budget(Updated<float>{floats(before_.slices[i]), floats(slice), floats(m.slices[i]),
                                     floats(v.slices[i]), slice.weights.count},
                      adamw));
    }
  });
  return gather_by_target(*parts_.host, slices_, owner_, shape_, std::span<const NormBudget>(budgets));
}

}  // namespace weightscope

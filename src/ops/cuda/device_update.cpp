#include "ops/device_update.hpp"

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAEvent.h>

#include <array>
#include <cmath>
#include <cstring>

#include "ops/cuda/check.hpp"
#include "ops/cuda/kernels.hpp"
#include "ops/cuda/workbench.hpp"

namespace weightscope::ops {
namespace {

at::Tensor device_copy(const void* from, std::size_t bytes, const at::Tensor& like) {
  const auto host = at::from_blob(const_cast<void*>(from), {static_cast<std::int64_t>(bytes)}, at::kByte);
  return host.to(like.device(), at::kByte, /*non_blocking=*/false, /*copy=*/true);
}

}  // namespace

struct DeviceUpdate::Impl {
  Settings settings;
  std::int64_t first = 0, tile_count = 0, parts = 0;
  at::Tensor tiles, inputs, outcome, tile_moved, moved;
  struct Slot {
    at::Tensor inputs, outcome, moved;  // pinned
    at::cuda::CUDAEvent arrived;
    bool measured = false;
  };
  std::array<Slot, 2> slots;

  Slot& slot(std::int64_t step) { return slots[static_cast<std::size_t>(step % 2)]; }
};

DeviceUpdate::DeviceUpdate(const std::vector<FlatPart>& parts, std::int64_t first, std::int64_t end,
                           const Settings& settings, const at::Tensor& like)
    : impl_(std::make_unique<Impl>()) {
  auto& i = *impl_;
  i.settings = settings, i.first = first, i.parts = static_cast<std::int64_t>(parts.size());
  std::vector<cuda::UpdateTile> tiles;
  for (std::size_t p = 0; p < parts.size(); ++p)
    for (auto at = std::max(first, parts[p].begin); at < std::min(end, parts[p].end); at += cuda::kUpdateTile)
      tiles.push_back({at,
                       static_cast<std::int32_t>(std::min({cuda::kUpdateTile, parts[p].end - at, end - at})),
                       static_cast<std::int32_t>(p), static_cast<float>(parts[p].weight_decay),
                       static_cast<float>(parts[p].step_scale)});
  i.tile_count = static_cast<std::int64_t>(tiles.size());
  const auto doubles = like.options().dtype(at::kDouble);
  i.tiles = device_copy(tiles.data(), tiles.size() * sizeof(cuda::UpdateTile), like);
  i.inputs = at::empty({sizeof(cuda::UpdateInputs)}, like.options().dtype(at::kByte));
  i.outcome = at::empty({sizeof(cuda::UpdateOutcome)}, like.options().dtype(at::kByte));
  i.tile_moved = at::empty({i.tile_count}, doubles), i.moved = at::empty({i.parts}, doubles);
  for (auto& slot : i.slots) {
    slot.inputs = cuda::pinned(sizeof(cuda::UpdateInputs)),
    slot.outcome = cuda::pinned(sizeof(cuda::UpdateOutcome));
    slot.moved = cuda::pinned(parts.size() * sizeof(double));
  }
}
DeviceUpdate::~DeviceUpdate() = default;

void DeviceUpdate::set(std::int64_t step, double lr) {
  auto& i = *impl_;
  const auto t = static_cast<double>(step);
  const auto& s = i.settings;
  const cuda::UpdateInputs in{static_cast<float>(lr), static_cast<float>(lr / (1 - std::pow(s.beta1, t))),
                              static_cast<float>(1 / std::sqrt(1 - std::pow(s.beta2, t))),
                              static_cast<float>(s.clip), s.tokens};
  auto& slot = i.slot(step);
  slot.arrived.synchronize();  // what went through this slot two steps ago has been read
  std::memcpy(slot.inputs.data_ptr(), &in, sizeof in);
  i.inputs.copy_(slot.inputs, /*non_blocking=*/true);
}

void DeviceUpdate::run(const at::Tensor& w, const at::Tensor& g, const at::Tensor& m, const at::Tensor& v,
                       const at::Tensor& work, const at::Tensor& loss_sum, const at::Tensor& squares,
                       bool measure) {
  auto& i = *impl_;
  void* stream = cuda::stream_of(w);
  auto* tiles = cuda::data<const cuda::UpdateTile>(i.tiles);
  auto* in = cuda::data<const cuda::UpdateInputs>(i.inputs);
  auto* outcome = cuda::data<cuda::UpdateOutcome>(i.outcome);
  cuda::check(cuda::prepare_update(in, cuda::data<const double>(loss_sum), cuda::data<const double>(squares),
                                   outcome, stream),
              "prepare_update");
  const cuda::AdamWPointers p{cuda::data<float>(w),
                              cuda::data<const float>(g),
                              cuda::data<float>(m),
                              cuda::data<float>(v),
                              work.defined() && !work.is_same(w) ? cuda::data<cuda::bf16>(work) : nullptr,
                              i.first,
                              static_cast<float>(i.settings.beta1),
                              static_cast<float>(i.settings.beta2),
                              static_cast<float>(i.settings.eps)};
  auto* moved = measure ? cuda::data<double>(i.tile_moved) : nullptr;
  cuda::check(cuda::adamw(p, tiles, i.tile_count, in, outcome, moved, stream), "adamw");
  if (measure)
    cuda::check(cuda::sum_tiles(tiles, moved, i.tile_count, cuda::data<double>(i.moved), i.parts, stream),
                "sum_tiles");
}

void DeviceUpdate::send_back(std::int64_t step, bool measured) {
  auto& slot = impl_->slot(step);
  slot.measured = measured;
  slot.outcome.copy_(impl_->outcome, /*non_blocking=*/true);
  if (measured) slot.moved.copy_(impl_->moved.view(at::kByte), /*non_blocking=*/true);
  slot.arrived.record();
}

DeviceUpdate::Outcome DeviceUpdate::outcome(std::int64_t step) const {
  auto& slot = impl_->slot(step);
  slot.arrived.synchronize();
  cuda::UpdateOutcome o{};
  std::memcpy(&o, slot.outcome.data_ptr(), sizeof o);
  Outcome result{o.loss, o.norm, {}};
  if (!slot.measured) return result;
  result.moved.resize(static_cast<std::size_t>(impl_->parts));
  std::memcpy(result.moved.data(), slot.moved.data_ptr(), result.moved.size() * sizeof(double));
  return result;
}

}  // namespace weightscope::ops

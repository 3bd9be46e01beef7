#include "ops/cuda/workbench.hpp"

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAStream.h>

#include <array>

#include "ops/ops.hpp"

namespace weightscope::ops::cuda {

namespace {

Choice chosen = Choice::fastest;

}  // namespace

Workbench::Workbench(c10::Device device) : multiplier(chosen), attention(chosen), device_(device) {
  const auto* properties = at::cuda::getDeviceProperties(device.index());
  capability = 10 * properties->major + properties->minor;
}

Workbench& Workbench::of(const at::Tensor& t) {
  constexpr std::size_t kMost = 64;
  // Never destroyed: at exit the driver may be gone before static objects are.
  static auto* benches = new std::array<Workbench*, kMost>{};
  auto& bench = benches->at(static_cast<std::size_t>(t.get_device()));
  if (bench == nullptr) bench = new Workbench(t.device());
  return *bench;
}

void Workbench::choose(Choice choice) { chosen = choice; }

void* Workbench::scratch(std::size_t bytes) {
  if (blocks_.empty() || blocks_.back().nbytes() < bytes)
    blocks_.push_back(
        at::empty({static_cast<std::int64_t>(bytes)}, at::TensorOptions().dtype(at::kByte).device(device_)));
  return blocks_.back().data_ptr();
}

void* stream_of(const at::Tensor& t) { return c10::cuda::getCurrentCUDAStream(t.get_device()).stream(); }

at::Tensor pinned(std::size_t bytes) {
  return at::zeros({static_cast<std::int64_t>(bytes)},
                   at::TensorOptions().dtype(at::kByte).pinned_memory(true));
}

}  // namespace weightscope::ops::cuda

void weightscope::ops::repeat_exactly() { cuda::Workbench::choose(cuda::Choice::repeatable); }

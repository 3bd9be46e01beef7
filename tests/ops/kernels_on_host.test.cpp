// The kernels of ops/cuda, compiled for the host: host_cuda/ stands in for the device and its runtime, and
// fused.cpp brings tensors to them, as on a GPU.
#include "ops/device_kernels.test.cpp"

#include "core/kernel.cuh"
#include "ops/cuda/kernels.hpp"  // after them: its names would be overloads of theirs

namespace weightscope::ops {

/// Of compute capability 8.6, 8.9 or 12.0. A launch that asks for more fails here as there.
TEST_F(EmbeddingKernels, ADeviceWithLessSharedMemoryIsAskedForWhatItHas) {
  const auto before = std::exchange(device::most_shared, 99 << 10);
  for (const std::int64_t columns : {50304, 53248}) {  // a row of which fits, and does not
    at::manual_seed(20261127);
    const auto logits = random_tensor({3, columns}, at::kBFloat16, 3);
    const auto targets = at::randint(columns, {3}, at::kLong);
    at::Tensor l1 = gpu(logits), l2 = logits.clone(), sum1 = gpu(at::zeros({1}, at::kDouble)),
               sum2 = at::zeros({1}, at::kDouble);
    on_device::cross_entropy(l1, gpu(targets), columns, 1.0 / 64, sum1);
    reference::cross_entropy(l2, targets, columns, 1.0 / 64, sum2);
    EXPECT_LT(relative_error(sum1.cpu(), sum2), 1e-5);
    EXPECT_LT(relative_error(l1.cpu(), l2), 1e-2);
  }
  EXPECT_EQ(on_device::widest_head(), 128);
  device::most_shared = before;
  EXPECT_EQ(on_device::widest_head(), 256);
}

}  // namespace weightscope::ops

#pragma once
// The file of this name in src/ops/cuda: every lane makes eight of the 256 sums. What the device asks of
// addresses is checked.
#include <cstdint>
#include <stdexcept>

#include "ops/cuda/device.cuh"

namespace weightscope::ops::cuda {

template <bool ByColumn>
void tensor_product(const bf16* a, int row_a, const bf16* b, int row_b, int depth, float* to, int row_to) {
  const auto* start = static_cast<const std::byte*>(host_cuda::shared_memory());
  for (const void* p :
       {static_cast<const void*>(a), static_cast<const void*>(b), static_cast<const void*>(to)})
    if ((static_cast<const std::byte*>(p) - start) % 32 != 0) throw std::runtime_error("not 32-byte aligned");
  if (row_a % 8 != 0 || row_b % 8 != 0 || row_to % 4 != 0 || depth % 16 != 0)
    throw std::runtime_error("rows that tensor cores cannot read");
  __syncwarp();  // as a warp, or not at all
  for (int n = static_cast<int>(threadIdx.x % kWarp); n < 256; n += static_cast<int>(kWarp)) {
    const int r = n / 16, c = n % 16;
    float sum = 0;
    for (int k = 0; k < depth; ++k)
      sum += to_float(a[r * row_a + k]) * to_float(ByColumn ? b[c * row_b + k] : b[k * row_b + c]);
    to[r * row_to + c] = sum;
  }
  __syncwarp();
}

}  // namespace weightscope::ops::cuda

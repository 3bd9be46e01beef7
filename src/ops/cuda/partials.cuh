#pragma once
// Column sums in two steps: blocks leave partial sums, which are added in the order of the blocks.
#include <algorithm>
#include <array>
#include <type_traits>

#include "ops/cuda/device.cuh"
#include "ops/cuda/kernels.hpp"

namespace weightscope::ops::cuda {

constexpr unsigned kPartialRows = 8;

struct PartialTargets {
  float* part[3];  ///< null: nobody wants that part
};

/// partial [blocks][parts][C] → part[p][c], parts = gridDim.y. blockDim = (32, kPartialRows).
static __global__ void add_partials(const float* __restrict__ partial, PartialTargets to, int blocks, Index C,
                                    bool add) {
  __shared__ float sums[kPartialRows][kWarp + 1];
  const Index c = static_cast<Index>(blockIdx.x) * kWarp + threadIdx.x, parts = gridDim.y;
  float total = 0;
  if (c < C)
    for (int b = static_cast<int>(threadIdx.y); b < blocks; b += static_cast<int>(kPartialRows))
      total += partial[(static_cast<Index>(b) * parts + blockIdx.y) * C + c];
  sums[threadIdx.y][threadIdx.x] = total;
  __syncthreads();
  float* out = to.part[blockIdx.y];
  if (threadIdx.y != 0 || c >= C || out == nullptr) return;
  for (unsigned r = 1; r < kPartialRows; ++r) total += sums[r][threadIdx.x];
  out[c] = add ? out[c] + total : total;
}

inline int sum_partials(const float* partial, PartialTargets to, unsigned blocks, Index C, bool add,
                        void* stream, unsigned parts) {
  return device::launch(add_partials, dim3(blocks_for(C, kWarp), parts), dim3(kWarp, kPartialRows), 0, stream,
                        partial, to, static_cast<int>(blocks), C, add);
}

}  // namespace weightscope::ops::cuda

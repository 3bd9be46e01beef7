#include "ops/cuda/device.cuh"
#include "ops/cuda/kernels.hpp"
#include "ops/cuda/partials.cuh"

namespace weightscope::ops::cuda {
namespace {

constexpr unsigned kRows = 8;       // of a block at a time
constexpr Index kColumns = 8 * 32;  // of a block: eight a lane
constexpr Index kBlocks = 132 * 8;  // aimed at

/// partial [gridDim.y][N]: the sums of this block's rows.
template <class T>
__global__ void __launch_bounds__(kRows* kWarp)
    columns(const T* __restrict__ x, float* __restrict__ partial, Index R, Index N) {
  __shared__ float sums[kRows][kColumns + 4];
  const Index c = static_cast<Index>(blockIdx.x) * kColumns + threadIdx.x * 8;
  float total[8] = {};
  if (c < N) {
#pragma unroll 4
    for (Index r = static_cast<Index>(blockIdx.y) * kRows + threadIdx.y; r < R;
         r += static_cast<Index>(gridDim.y) * kRows) {
      const auto v = load8(x + r * N + c);
#pragma unroll
      for (int i = 0; i < 8; ++i) total[i] += v.x[i];
    }
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) sums[threadIdx.y][threadIdx.x * 8 + i] = total[i];
  __syncthreads();
  const int at = static_cast<int>(threadIdx.y * kWarp + threadIdx.x);
  const Index column = static_cast<Index>(blockIdx.x) * kColumns + at;
  if (column >= N) return;
  float all = 0;
#pragma unroll
  for (unsigned r = 0; r < kRows; ++r) all += sums[r][at];
  partial[static_cast<Index>(blockIdx.y) * N + column] = all;
}

unsigned row_blocks(Index R, Index N) {
  const Index wanted = std::max<Index>(1, kBlocks / blocks_for(N, kColumns));
  return static_cast<unsigned>(std::min<Index>(wanted, blocks_for(R, kRows)));
}

}  // namespace

Index column_sum_scratch(Index R, Index N) { return static_cast<Index>(row_blocks(R, N)) * N; }

template <class T>
int column_sum(const T* x, float* sum, bool add, Index R, Index N, float* scratch, void* stream) {
  const unsigned rows = row_blocks(R, N);
  const int status = device::launch(columns<T>, dim3(blocks_for(N, kColumns), rows), dim3(kWarp, kRows), 0,
                                    stream, x, scratch, R, N);
  if (status != 0) return status;
  return sum_partials(scratch, {sum, nullptr, nullptr}, rows, N, add, stream, 1);
}

template int column_sum(const float*, float*, bool, Index, Index, float*, void*);
template int column_sum(const bf16*, float*, bool, Index, Index, float*, void*);

}  // namespace weightscope::ops::cuda

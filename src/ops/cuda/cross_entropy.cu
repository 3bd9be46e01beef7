// One block a row, which it keeps in shared memory: a row is read once and written once. Rows that do not fit
// are read twice.
#include <cuda_pipeline.h>

#include <algorithm>
#include <cfloat>

#include "ops/cuda/device.cuh"
#include "ops/cuda/kernels.hpp"

namespace weightscope::ops::cuda {
namespace {

constexpr unsigned kWarps = 16, kThreads = kWarps * kWarp;
constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Larger {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

/// The same value on every thread, in a fixed order.
template <class Combine>
__device__ float block_combine(float v, Combine combine) {
  __shared__ float scratch[kWarps];
#pragma unroll
  for (int o = kWarp / 2; o > 0; o /= 2) v = combine(v, __shfl_xor_sync(kAllLanes, v, o));
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = v;
  __syncthreads();
  v = scratch[0];
#pragma unroll
  for (unsigned w = 1; w < kWarps; ++w) v = combine(v, scratch[w]);
  __syncthreads();
  return v;
}

__device__ float largest_of(const float (&x)[8], int live) {
  float m = -FLT_MAX;
#pragma unroll
  for (int k = 0; k < 8; ++k) m = fmaxf(m, k < live ? x[k] : -FLT_MAX);
  return m;
}

/// f(c, elements, how many of them are logits) for this thread's eights of a row.
template <bool Backwards, class T, class F>
__device__ void for_eights(const T* row, int vocab, int columns, F&& f) {
  constexpr int kStep = static_cast<int>(kThreads) * 8;
  const int mine = static_cast<int>(threadIdx.x) * 8, last = (columns - 1) / kStep * kStep;
#pragma unroll 4
  for (int i = 0; i <= last; i += kStep) {
    const int c = (Backwards ? last - i : i) + mine;
    if (c < columns) f(c, load8(row + c), vocab - c);
  }
}

/// Brings a row into shared memory, all of it under way at once; each thread waits for what it will read
/// itself.
template <class T>
__device__ void keep(T* kept, const T* row, int columns) {
  constexpr int kVector = 16 / sizeof(T), kStep = static_cast<int>(kThreads) * 8;
  for (int c = static_cast<int>(threadIdx.x) * 8; c < columns; c += kStep)
#pragma unroll
    for (int i = 0; i < 8; i += kVector) __pipeline_memcpy_async(kept + c + i, row + c + i, 16);
  __pipeline_commit();
  __pipeline_wait_prior(0);
}

/// Exponentials are of base 2, with the logits scaled: one multiply-add and one instruction each.
template <class T, bool Kept>
__global__ void __launch_bounds__(kThreads)
    rows(T* __restrict__ logits, const Index* __restrict__ targets, float dscale, int vocab, int columns,
         float* __restrict__ row_loss) {
  T* row = logits + static_cast<Index>(blockIdx.x) * columns;
  T* kept = device::shared_memory<T>();
  const int target = static_cast<int>(targets[blockIdx.x]);
  if (Kept) keep(kept, row, columns);
  float m = -FLT_MAX;
  for_eights<false>(Kept ? kept : row, vocab, columns,
                    [&](int, const Eight<T>& v, int live) { m = fmaxf(m, largest_of(v.x, live)); });
  const float shift = block_combine(m, Larger{}) * kLog2e;
  float total = 0;
  for_eights<false>(Kept ? kept : row, vocab, columns, [&](int, const Eight<T>& v, int live) {
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const float e = device::exp2_fast(fmaf(v.x[k], kLog2e, -shift));
      total += live >= 8 || k < live ? e : 0.0f;
    }
  });
  total = block_combine(total, Add{});
  if (threadIdx.x == 0) row_loss[blockIdx.x] = (shift + log2f(total)) * kLn2 - to_float(row[target]);
  if (dscale == 0) return;
  __syncthreads();  // the target's logit has been read
  const float factor = dscale / total;
  // Backwards: without shared memory, what was read last is most likely still near.
  for_eights<true>(Kept ? kept : row, vocab, columns, [&](int c, Eight<T> v, int live) {
#pragma unroll
    for (int k = 0; k < 8; ++k) v.x[k] = device::exp2_fast(fmaf(v.x[k], kLog2e, -shift)) * factor;
    if (static_cast<unsigned>(target - c) < 8u) {
#pragma unroll
      for (int k = 0; k < 8; ++k) v.x[k] -= c + k == target ? dscale : 0.0f;
    }
    if (live < 8) {
#pragma unroll
      for (int k = 0; k < 8; ++k) v.x[k] = k < live ? v.x[k] : 0.0f;
    }
    store8(row + c, v.x);
  });
}

constexpr unsigned kSumWarps = 32;

__global__ void __launch_bounds__(kSumWarps* kWarp)
    add_losses(const float* __restrict__ row_loss, Index R, double* __restrict__ loss_sum) {
  double total = 0;
  for (Index r = threadIdx.x; r < R; r += kSumWarps * kWarp) total += static_cast<double>(row_loss[r]);
  total = block_sum<kSumWarps>(total);
  if (threadIdx.x == 0) *loss_sum += total;
}

}  // namespace

template <class T>
int cross_entropy(T* logits, const Index* targets, float dscale, Index R, Index vocab, Index columns,
                  double* loss_sum, float* row_loss, void* stream) {
  constexpr std::size_t kMostShared = 112 << 10,  // two blocks a multiprocessor
      kStaticShared = 1 << 10;                    // at least what block_combine has
  const std::size_t bytes = static_cast<std::size_t>(columns) * sizeof(T);
  const bool kept =
      dscale != 0 && bytes <= std::min(kMostShared, device::most_shared_memory() - kStaticShared);
  const int status = device::launch(kept ? rows<T, true> : rows<T, false>, static_cast<unsigned>(R), kThreads,
                                    kept ? bytes : 0, stream, logits, targets, dscale,
                                    static_cast<int>(vocab), static_cast<int>(columns), row_loss);
  if (status != 0) return status;
  return device::launch(add_losses, 1, kSumWarps * kWarp, 0, stream, row_loss, R, loss_sum);
}

template int cross_entropy(float*, const Index*, float, Index, Index, Index, double*, float*, void*);
template int cross_entropy(bf16*, const Index*, float, Index, Index, Index, double*, float*, void*);

}  // namespace weightscope::ops::cuda

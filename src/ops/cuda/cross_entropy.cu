// One block a row, which it keeps in shared memory: a row is read once and written once. Rows that do not fit are
// read twice.
#include <cfloat>

#include "ops/cuda/device.cuh"
#include "ops/cuda/kernels.hpp"

namespace weightscope::ops::cuda {
namespace {

constexpr unsigned kWarps = 16, kThreads = kWarps * kWarp;
constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

/// Largest value so far, in units of log2, and Σ 2^(x − largest): joined in any order.
struct Soft {
  float largest, total;
};
__device__ Soft join(Soft a, Soft b) {
  const float m = fmaxf(a.largest, b.largest);
  return {m, a.total * exp2f(a.largest - m) + b.total * exp2f(b.largest - m)};
}

__device__ Soft block_join(Soft s) {
  __shared__ Soft scratch[kWarps];
#pragma unroll
  for (int o = kWarp / 2; o > 0; o /= 2)
    s = join(s, {__shfl_xor_sync(kAllLanes, s.largest, o), __shfl_xor_sync(kAllLanes, s.total, o)});
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = s;
  __syncthreads();
  s = scratch[0];
#pragma unroll
  for (unsigned w = 1; w < kWarps; ++w) s = join(s, scratch[w]);
  return s;
}

template <class T, bool Kept>
__global__ void __launch_bounds__(kThreads)
    rows(T* __restrict__ logits, const Index* __restrict__ targets, float dscale, int vocab, int columns,
         float* __restrict__ row_loss) {
  T* row = logits + static_cast<Index>(blockIdx.x) * columns;
  extern __shared__ uint4 memory[];
  T* kept = reinterpret_cast<T*>(memory);
  const int target = static_cast<int>(targets[blockIdx.x]);
  Soft mine{-FLT_MAX, 0};
#pragma unroll 4
  for (int c = static_cast<int>(threadIdx.x) * 8; c < vocab; c += static_cast<int>(kThreads) * 8) {
    const auto v = load8(row + c);
    if (Kept) store8(kept + c, v.x);
    float m = mine.largest;
#pragma unroll
    for (int k = 0; k < 8; ++k)
      if (c + k < vocab) m = fmaxf(m, v.x[k] * kLog2e);
    float total = mine.total * exp2f(mine.largest - m);
#pragma unroll
    for (int k = 0; k < 8; ++k)
      if (c + k < vocab) total += exp2f(v.x[k] * kLog2e - m);
    mine = {m, total};
  }
  const Soft all = block_join(mine);
  if (threadIdx.x == 0) row_loss[blockIdx.x] = (all.largest + log2f(all.total)) * kLn2 - to_float(row[target]);
  if (dscale == 0) return;
  __syncthreads();  // the target's logit has been read
  const float factor = dscale / all.total;
  // Backwards: what was read last is most likely still near.
  const int last = (columns - 1) / (static_cast<int>(kThreads) * 8) * (static_cast<int>(kThreads) * 8);
  for (int c = last + static_cast<int>(threadIdx.x) * 8; c >= 0; c -= static_cast<int>(kThreads) * 8) {
    if (c >= columns) continue;
    auto v = load8(Kept ? kept + c : row + c);
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const float p = exp2f(v.x[k] * kLog2e - all.largest) * factor;
      v.x[k] = c + k < vocab ? p - (c + k == target ? dscale : 0.0f) : 0.0f;
    }
    store8(row + c, v.x);
  }
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
  const auto on = static_cast<cudaStream_t>(stream);
  constexpr std::size_t kMostShared = 112 << 10;  // two blocks a multiprocessor
  const std::size_t bytes = static_cast<std::size_t>(columns) * sizeof(T);
  const bool kept = bytes <= kMostShared && dscale != 0;
  const auto kernel = kept ? rows<T, true> : rows<T, false>;
  if (kept)
    if (const auto set = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kMostShared);
        set != cudaSuccess)
      return set;
  kernel<<<static_cast<unsigned>(R), kThreads, kept ? bytes : 0, on>>>(
      logits, targets, dscale, static_cast<int>(vocab), static_cast<int>(columns), row_loss);
  if (const auto status = cudaGetLastError(); status != cudaSuccess) return status;
  add_losses<<<1, kSumWarps * kWarp, 0, on>>>(row_loss, R, loss_sum);
  return static_cast<int>(cudaGetLastError());
}

template int cross_entropy(float*, const Index*, float, Index, Index, Index, double*, float*, void*);
template int cross_entropy(bf16*, const Index*, float, Index, Index, Index, double*, float*, void*);

}  // namespace weightscope::ops::cuda

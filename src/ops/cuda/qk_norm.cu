// LayerNorm of each query and key over its head's features: a warp a head, whose features stay in registers.
#include "ops/cuda/device.cuh"
#include "ops/cuda/kernels.hpp"
#include "ops/cuda/partials.cuh"

namespace weightscope::ops::cuda {
namespace {

constexpr unsigned kWarps = 8, kThreads = kWarps * kWarp;
constexpr int kMost = kWidestHead / kWarp;  ///< features of a lane: lane, lane + 32, ...
constexpr float kEps = 1e-5f;
constexpr unsigned kSums = 2;  ///< of dy·n and dy

/// f(which of this lane's features, which of the head's).
template <class F>
__device__ void for_features(int D, F&& f) {
#pragma unroll
  for (int i = 0; i < kMost; ++i) {
    const int d = i * static_cast<int>(kWarp) + static_cast<int>(threadIdx.x % kWarp);
    if (d < D) f(i, d);
  }
}

/// Chosen, not indexed: an argument of a kernel that is indexed moves to memory.
__device__ inline const float* one_of(const float* const (&pair)[2], Index part) {
  return part == 0 ? pair[0] : pair[1];
}

/// x becomes (x − mean)·rstd; the result is rstd.
__device__ inline float normalize(float (&x)[kMost], int D) {
  const float inverse = 1.0f / static_cast<float>(D);
  float sum = 0, squares = 0;
  for_features(D, [&](int i, int) { sum += x[i]; });
  const float mean = warp_sum(sum) * inverse;
  for_features(D, [&](int i, int) { x[i] -= mean, squares += x[i] * x[i]; });
  const float rstd = 1.0f / sqrtf(warp_sum(squares) * inverse + kEps);
  for_features(D, [&](int i, int) { x[i] *= rstd; });
  return rstd;
}

/// gridDim.y: q and k.
template <class T>
__global__ void __launch_bounds__(kThreads)
    forward(T* __restrict__ qkv, T* __restrict__ raw, QkNormPointers<const float> norm, Index R, Index H,
            int D) {
  const Index n = static_cast<Index>(blockIdx.x) * kWarps + threadIdx.x / kWarp, part = blockIdx.y;
  if (n >= R * H) return;
  const Index C = H * D, r = n / H, head = part * C + n % H * D;
  T* values = qkv + r * 3 * C + head;
  const float *w = one_of(norm.gain, part), *b = one_of(norm.bias, part);
  float x[kMost];
  for_features(D, [&](int i, int d) {
    x[i] = to_float(values[d]);
    if (raw != nullptr) raw[r * 2 * C + head + d] = values[d];
  });
  normalize(x, D);
  for_features(D,
               [&](int i, int d) { values[d] = from_float<T>(x[i] * w[d] + (b != nullptr ? b[d] : 0.0f)); });
}

/// dy becomes dx. partial: [q and k][gridDim.x][kSums][D], the sums over a block's heads.
template <class T>
__global__ void __launch_bounds__(kThreads)
    backward(T* __restrict__ dqkv, const T* __restrict__ raw, QkNormPointers<const float> norm,
             float* __restrict__ partial, Index R, Index H, int D) {
  __shared__ float sums[kWarps][kSums][kWidestHead];
  const Index C = H * D, part = blockIdx.y;
  const unsigned warp = threadIdx.x / kWarp;
  const float *w = one_of(norm.gain, part), inverse = 1.0f / static_cast<float>(D);
  float dw[kMost]{}, db[kMost]{};
  for (Index n = static_cast<Index>(blockIdx.x) * kWarps + warp; n < R * H;
       n += static_cast<Index>(gridDim.x) * kWarps) {
    const Index r = n / H, head = part * C + n % H * D;
    T* dy = dqkv + r * 3 * C + head;
    const T* before = raw + r * 2 * C + head;
    float x[kMost], g[kMost], sum = 0, dot = 0;
    for_features(D, [&](int i, int d) { x[i] = to_float(before[d]), g[i] = to_float(dy[d]); });
    const float rstd = normalize(x, D);
    for_features(D, [&](int i, int d) {
      dw[i] += g[i] * x[i], db[i] += g[i];
      g[i] *= w[d];
      sum += g[i], dot += g[i] * x[i];
    });
    sum = warp_sum(sum) * inverse, dot = warp_sum(dot) * inverse;
    for_features(D, [&](int i, int d) { dy[d] = from_float<T>((g[i] - sum - x[i] * dot) * rstd); });
  }
  for_features(D, [&](int i, int d) { sums[warp][0][d] = dw[i], sums[warp][1][d] = db[i]; });
  __syncthreads();
  float* to = partial + (part * gridDim.x + blockIdx.x) * kSums * D;
  for (int i = static_cast<int>(threadIdx.x); i < static_cast<int>(kSums) * D;
       i += static_cast<int>(kThreads)) {
    float total = 0;
    for (unsigned k = 0; k < kWarps; ++k) total += sums[k][i / D][i % D];
    to[i] = total;
  }
}

unsigned backward_blocks(Index R, Index H) {
  constexpr Index kAtOnce = 4 * 132;  // of an H100; other GPUs only share the heads out differently
  return static_cast<unsigned>(std::min(kAtOnce, Index{blocks_for(R * H, kWarps)}));
}

}  // namespace

template <class T>
int qk_norm(T* qkv, T* raw, const QkNormPointers<const float>& norm, Index R, Index H, Index D,
            void* stream) {
  return device::launch(forward<T>, dim3(blocks_for(R * H, kWarps), 2), kThreads, 0, stream, qkv, raw, norm,
                        R, H, static_cast<int>(D));
}

Index qk_norm_scratch(Index R, Index H, Index D) { return Index{2} * backward_blocks(R, H) * kSums * D; }

template <class T>
int qk_norm_backward(T* dqkv, const T* raw, const QkNormPointers<const float>& norm,
                     const QkNormPointers<float>& gradients, bool add, Index R, Index H, Index D,
                     float* scratch, void* stream) {
  const unsigned blocks = backward_blocks(R, H);
  int status = device::launch(backward<T>, dim3(blocks, 2), kThreads, 0, stream, dqkv, raw, norm, scratch, R,
                              H, static_cast<int>(D));
  for (int part = 0; part < 2 && status == 0; ++part)
    status =
        sum_partials(scratch + part * blocks * kSums * D,
                     {gradients.gain[part], gradients.bias[part], nullptr}, blocks, D, add, stream, kSums);
  return status;
}

#define WEIGHTSCOPE_INSTANTIATE(T)                                                              \
  template int qk_norm(T*, T*, const QkNormPointers<const float>&, Index, Index, Index, void*); \
  template int qk_norm_backward(T*, const T*, const QkNormPointers<const float>&,               \
                                const QkNormPointers<float>&, bool, Index, Index, Index, float*, void*);
WEIGHTSCOPE_INSTANTIATE(float)
WEIGHTSCOPE_INSTANTIATE(bf16)

}  // namespace weightscope::ops::cuda

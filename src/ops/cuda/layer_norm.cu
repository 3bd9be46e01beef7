// One warp a row, the row in registers: memory is read once.
#include "ops/cuda/device.cuh"
#include "ops/cuda/kernels.hpp"
#include "ops/cuda/partials.cuh"

namespace weightscope::ops::cuda {
namespace {

constexpr unsigned kWarps = 4, kThreads = kWarps * kWarp;
constexpr float kEps = 1e-5f;

template <class T, int V>
__global__ void __launch_bounds__(kThreads)
    forward(const float* __restrict__ residual, const T* __restrict__ branch, float* s, const float* __restrict__ w,
            const float* __restrict__ b, T* __restrict__ y, float* __restrict__ mean, float* __restrict__ rstd,
            Index R, int C) {
  const Index row = static_cast<Index>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (row >= R) return;
  const int lane = threadIdx.x % kWarp;
  const Index base = row * C;
  float4 x[V];
  float total = 0;
#pragma unroll
  for (int i = 0; i < V; ++i) {
    const int c = (i * 32 + lane) * 4;
    x[i] = splat(0);
    if (c >= C) continue;
    x[i] = load4(residual + base + c);
    if (branch != nullptr) {
      x[i] = x[i] + load4(branch + base + c);
      store4(s + base + c, x[i]);
    }
    total += sum(x[i]);
  }
  const float m = warp_sum(total) / static_cast<float>(C);
  float squares = 0;
#pragma unroll
  for (int i = 0; i < V; ++i) {
    if ((i * 32 + lane) * 4 >= C) continue;
    const float4 d = x[i] - splat(m);
    squares += sum(d * d);
  }
  const float r = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(C) + kEps);
#pragma unroll
  for (int i = 0; i < V; ++i) {
    const int c = (i * 32 + lane) * 4;
    if (c >= C) continue;
    float4 out = (x[i] - splat(m)) * r * load4(w + c);
    if (b != nullptr) out = out + load4(b + c);
    store4(y + base + c, out);
  }
  if (lane == 0) mean[row] = m, rstd[row] = r;
}

/// partial: [gridDim.x][2][C], the sums over this block's rows of dy·n and dy. With InShared each warp keeps
/// its sums in shared memory: wide rows leave no registers for them.
template <class T, int V, bool InShared>
__global__ void __launch_bounds__(kThreads)
    backward(const T* __restrict__ dy, const float* __restrict__ s, const float* __restrict__ mean,
             const float* __restrict__ rstd, const float* __restrict__ w, float* __restrict__ ds, bool add,
             T* __restrict__ ds_work, float* __restrict__ partial, Index R, int C) {
  extern __shared__ float4 shared[];  // [kWarps][2][V][32]
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  float4* kept = shared + static_cast<std::size_t>(warp) * 2 * V * kWarp + lane;
  float4 dw[InShared ? 1 : V], db[InShared ? 1 : V];
#pragma unroll
  for (int i = 0; i < V; ++i) {
    if (InShared)
      kept[i * 32] = kept[(V + i) * 32] = splat(0);
    else
      dw[InShared ? 0 : i] = db[InShared ? 0 : i] = splat(0);
  }
  const float inverse = 1.0f / static_cast<float>(C);
  for (Index row = static_cast<Index>(blockIdx.x) * kWarps + warp; row < R;
       row += static_cast<Index>(gridDim.x) * kWarps) {
    const Index base = row * C;
    const float m = mean[row], r = rstd[row];
    float4 n[V], d[V];
    float sum_d = 0, sum_dn = 0;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const int c = (i * 32 + lane) * 4;
      n[i] = d[i] = splat(0);
      if (c >= C) continue;
      const float4 g = load4(dy + base + c);
      n[i] = (load4(s + base + c) - splat(m)) * r;
      d[i] = g * load4(w + c);
      if (InShared) {
        kept[i * 32] = kept[i * 32] + g * n[i], kept[(V + i) * 32] = kept[(V + i) * 32] + g;
      } else {
        dw[InShared ? 0 : i] = dw[InShared ? 0 : i] + g * n[i], db[InShared ? 0 : i] = db[InShared ? 0 : i] + g;
      }
      sum_d += sum(d[i]), sum_dn += sum(d[i] * n[i]);
    }
    sum_d = warp_sum(sum_d) * inverse, sum_dn = warp_sum(sum_dn) * inverse;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const int c = (i * 32 + lane) * 4;
      if (c >= C) continue;
      float4 out = (d[i] - splat(sum_d) - n[i] * sum_dn) * r;
      if (add) out = out + load4(ds + base + c);
      store4(ds + base + c, out);
      if (ds_work != nullptr) store4(ds_work + base + c, out);
    }
  }
  if (!InShared) {
#pragma unroll
    for (int i = 0; i < V; ++i) kept[i * 32] = dw[InShared ? 0 : i], kept[(V + i) * 32] = db[InShared ? 0 : i];
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < 2 * V * 32; i += static_cast<int>(kThreads)) {
    const int part = i / (V * 32), c = i % (V * 32) * 4;
    if (c >= C) continue;
    float4 total = splat(0);
#pragma unroll
    for (unsigned k = 0; k < kWarps; ++k) total = total + shared[k * 2 * V * 32 + static_cast<unsigned>(i)];
    store4(partial + (static_cast<Index>(blockIdx.x) * 2 + part) * C + c, total);
  }
}

unsigned backward_blocks(Index R) {
  constexpr Index kMost = 132 * 6;  // of an H100's multiprocessors; other GPUs only share the rows out differently
  return static_cast<unsigned>(std::min<Index>(kMost, blocks_for(R, kWarps)));
}

/// f(integral constant V) for rows of C elements.
template <class F>
int with_vectors(Index C, F&& f) {
  const Index vectors = (C + 127) / 128;
  if (vectors <= 2) return f(std::integral_constant<int, 2>{});
  if (vectors <= 4) return f(std::integral_constant<int, 4>{});
  if (vectors <= 6) return f(std::integral_constant<int, 6>{});
  if (vectors <= 8) return f(std::integral_constant<int, 8>{});
  if (vectors <= 13) return f(std::integral_constant<int, 13>{});
  if (vectors <= 16) return f(std::integral_constant<int, 16>{});
  return f(std::integral_constant<int, 32>{});
}

}  // namespace

template <class T>
int residual_layer_norm(const float* residual, const T* branch, float* s, const float* w, const float* b, T* y,
                        float* mean, float* rstd, Index R, Index C, void* stream) {
  return with_vectors(C, [&](auto vectors) {
    forward<T, vectors()><<<blocks_for(R, kWarps), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
        residual, branch, s, w, b, y, mean, rstd, R, static_cast<int>(C));
    return static_cast<int>(cudaGetLastError());
  });
}

Index layer_norm_scratch(Index R, Index C) { return static_cast<Index>(backward_blocks(R)) * 2 * C; }

template <class T>
int layer_norm_backward(const T* dy, const float* s, const float* mean, const float* rstd, const float* w,
                        float* ds, bool add_to_ds, T* ds_work, float* dw, float* db, bool add, Index R, Index C,
                        float* scratch, void* stream) {
  const auto on = static_cast<cudaStream_t>(stream);
  const unsigned blocks = backward_blocks(R);
  const int status = with_vectors(C, [&](auto vectors) {
    constexpr int V = vectors();
    constexpr std::size_t kBytes = std::size_t{kWarps} * 2 * V * kWarp * sizeof(float4);
    const auto kernel = backward<T, V, (V > 8)>;
    if (const auto set = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
        set != cudaSuccess)
      return static_cast<int>(set);
    kernel<<<blocks, kThreads, kBytes, on>>>(dy, s, mean, rstd, w, ds, add_to_ds, ds_work, scratch, R,
                                             static_cast<int>(C));
    return static_cast<int>(cudaGetLastError());
  });
  if (status != cudaSuccess) return status;
  return sum_partials(scratch, {dw, db}, blocks, C, add, on);
}

#define WEIGHTSCOPE_INSTANTIATE(T)                                                                              \
  template int residual_layer_norm(const float*, const T*, float*, const float*, const float*, T*, float*,     \
                                   float*, Index, Index, void*);                                               \
  template int layer_norm_backward(const T*, const float*, const float*, const float*, const float*, float*,   \
                                   bool, T*, float*, float*, bool, Index, Index, float*, void*);
WEIGHTSCOPE_INSTANTIATE(float)
WEIGHTSCOPE_INSTANTIATE(bf16)

}  // namespace weightscope::ops::cuda

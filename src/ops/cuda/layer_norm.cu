// Rows stay in registers: memory is read once.
#include "ops/cuda/device.cuh"
#include "ops/cuda/kernels.hpp"
#include "ops/cuda/partials.cuh"

namespace weightscope::ops::cuda {
namespace {

constexpr unsigned kWarps = 4, kThreads = kWarps * kWarp;
constexpr float kEps = 1e-5f;
constexpr unsigned kParts = 3;

template <class T, int V>
__global__ void __launch_bounds__(kThreads)
    forward(const float* __restrict__ residual, const T* __restrict__ branch, float* s,
            const float* __restrict__ w, const float* __restrict__ b, T* __restrict__ y,
            float* __restrict__ mean, float* __restrict__ rstd, Index R, int C) {
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

/// Of backward_by_rows on one multiprocessor, by its registers and shared memory.
constexpr int resident_blocks(int vectors) { return vectors <= 6 ? 5 : vectors <= 8 ? 4 : 2; }

/// partial: [gridDim.x][kParts][C], the sums over this block's rows of dy·n, dy and ds. A warp a row; each
/// warp keeps its sums in shared memory, so that registers are left for what is under way from memory.
template <class T, int V>
__global__ void __launch_bounds__(kThreads, resident_blocks(V))
    backward_by_rows(const T* __restrict__ dy, const float* __restrict__ s, const float* __restrict__ mean,
                     const float* __restrict__ rstd, const float* __restrict__ w, float* __restrict__ ds,
                     bool add, T* __restrict__ ds_work, float* __restrict__ partial, Index R, int C) {
  auto* shared = device::shared_memory<float4>();  // [kWarps][kParts][V][32]
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  float4* kept = shared + static_cast<std::size_t>(warp) * kParts * V * kWarp + lane;
#pragma unroll
  for (int i = 0; i < static_cast<int>(kParts) * V; ++i) kept[i * 32] = splat(0);
  const float inverse = 1.0f / static_cast<float>(C);
  for (Index row = static_cast<Index>(blockIdx.x) * kWarps + warp; row < R;
       row += static_cast<Index>(gridDim.x) * kWarps) {
    const Index base = row * C;
    float4 n[V], d[V], old[V];
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const int c = (i * 32 + lane) * 4;
      n[i] = d[i] = old[i] = splat(0);
      if (c >= C) continue;
      d[i] = load4(dy + base + c), n[i] = load4(s + base + c);
      if (add) old[i] = load4(ds + base + c);
    }
    const float m = mean[row], r = rstd[row];
    float sum_d = 0, sum_dn = 0;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const int c = (i * 32 + lane) * 4;
      if (c >= C) continue;
      n[i] = (n[i] - splat(m)) * r;
      kept[i * 32] = kept[i * 32] + d[i] * n[i], kept[(V + i) * 32] = kept[(V + i) * 32] + d[i];
      d[i] = d[i] * load4(w + c);
      sum_d += sum(d[i]), sum_dn += sum(d[i] * n[i]);
    }
    sum_d = warp_sum(sum_d) * inverse, sum_dn = warp_sum(sum_dn) * inverse;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const int c = (i * 32 + lane) * 4;
      if (c >= C) continue;
      const float4 out = (d[i] - splat(sum_d) - n[i] * sum_dn) * r + old[i];
      kept[(2 * V + i) * 32] = kept[(2 * V + i) * 32] + out;
      store4(ds + base + c, out);
      if (ds_work != nullptr) store4(ds_work + base + c, out);
    }
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < static_cast<int>(kParts) * V * 32;
       i += static_cast<int>(kThreads)) {
    const int part = i / (V * 32), c = i % (V * 32) * 4;
    if (c >= C) continue;
    float4 total = splat(0);
#pragma unroll
    for (unsigned k = 0; k < kWarps; ++k)
      total = total + shared[k * kParts * V * 32 + static_cast<unsigned>(i)];
    store4(partial + (static_cast<Index>(blockIdx.x) * kParts + part) * C + c, total);
  }
}

/// The same for rows too wide for one warp: a block a row, a thread four columns, whose sums it keeps.
template <class T>
__global__ void __launch_bounds__(1024)
    backward_by_columns(const T* __restrict__ dy, const float* __restrict__ s, const float* __restrict__ mean,
                        const float* __restrict__ rstd, const float* __restrict__ w, float* __restrict__ ds,
                        bool add, T* __restrict__ ds_work, float* __restrict__ partial, Index R, int C) {
  __shared__ float2 sums[2][32];  // [turn][warp]: two turns, so that one barrier a row is enough
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  const int c = static_cast<int>(threadIdx.x) * 4;
  const bool active = c < C;
  const float inverse = 1.0f / static_cast<float>(C);
  const float4 gain = active ? load4(w + c) : splat(0);
  float4 dw = splat(0), db = splat(0), total = splat(0);
  int turn = 0;
  for (Index row = blockIdx.x; row < R; row += gridDim.x, turn = 1 - turn) {
    const Index at = row * C + c;
    const float r = rstd[row];
    const float4 g = active ? load4(dy + at) : splat(0),
                 n = active ? (load4(s + at) - splat(mean[row])) * r : splat(0),
                 old = add && active ? load4(ds + at) : splat(0), d = g * gain;
    dw = dw + g * n, db = db + g;
    const float2 mine{warp_sum(sum(d)), warp_sum(sum(d * n))};
    if (lane == 0) sums[turn][warp] = mine;
    __syncthreads();
    float2 all{0, 0};
    for (int i = 0; i < warps; ++i) all.x += sums[turn][i].x, all.y += sums[turn][i].y;
    if (!active) continue;
    const float4 out = (d - splat(all.x * inverse) - n * (all.y * inverse)) * r + old;
    total = total + out;
    store4(ds + at, out);
    if (ds_work != nullptr) store4(ds_work + at, out);
  }
  if (!active) return;
  float* mine = partial + static_cast<Index>(blockIdx.x) * kParts * C + c;
  store4(mine, dw), store4(mine + C, db), store4(mine + 2 * C, total);
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

constexpr Index kWidestByRows = 2048;

/// As many as run at once, so that all end together.
unsigned backward_blocks(Index R, Index C) {
  constexpr Index kMultiprocessors = 132;  // of an H100; other GPUs only share the rows out differently
  if (C > kWidestByRows) return static_cast<unsigned>(std::min(kMultiprocessors, R));
  return static_cast<unsigned>(with_vectors(C, [&](auto vectors) {
    return static_cast<int>(
        std::min(kMultiprocessors * resident_blocks(vectors()), Index{blocks_for(R, kWarps)}));
  }));
}

}  // namespace

template <class T>
int residual_layer_norm(const float* residual, const T* branch, float* s, const float* w, const float* b,
                        T* y, float* mean, float* rstd, Index R, Index C, void* stream) {
  return with_vectors(C, [&](auto vectors) {
    return device::launch(forward<T, vectors()>, blocks_for(R, kWarps), kThreads, 0, stream, residual, branch,
                          s, w, b, y, mean, rstd, R, static_cast<int>(C));
  });
}

Index layer_norm_scratch(Index R, Index C) { return static_cast<Index>(backward_blocks(R, C)) * kParts * C; }

template <class T>
int layer_norm_backward(const T* dy, const float* s, const float* mean, const float* rstd, const float* w,
                        float* ds, bool add_to_ds, T* ds_work, const NormGradients& out, bool add, Index R,
                        Index C, float* scratch, void* stream) {
  const unsigned blocks = backward_blocks(R, C);
  const auto start = [&](auto kernel, unsigned threads, std::size_t bytes) {
    return device::launch(kernel, blocks, threads, bytes, stream, dy, s, mean, rstd, w, ds, add_to_ds,
                          ds_work, scratch, R, static_cast<int>(C));
  };
  const int status = C > kWidestByRows
                         ? start(backward_by_columns<T>, blocks_for(C, 4 * kWarp) * kWarp, 0)
                         : with_vectors(C, [&](auto vectors) {
                             constexpr int V = vectors() <= 16 ? vectors() : 16;
                             return start(backward_by_rows<T, V>, kThreads,
                                          std::size_t{kWarps} * kParts * V * kWarp * sizeof(float4));
                           });
  if (status != 0) return status;
  return sum_partials(scratch, {out.dw, out.db, out.ds_sum}, blocks, C, add, stream, kParts);
}

#define WEIGHTSCOPE_INSTANTIATE(T)                                                                           \
  template int residual_layer_norm(const float*, const T*, float*, const float*, const float*, T*, float*,   \
                                   float*, Index, Index, void*);                                             \
  template int layer_norm_backward(const T*, const float*, const float*, const float*, const float*, float*, \
                                   bool, T*, const NormGradients&, bool, Index, Index, float*, void*);
WEIGHTSCOPE_INSTANTIATE(float)
WEIGHTSCOPE_INSTANTIATE(bf16)

}  // namespace weightscope::ops::cuda

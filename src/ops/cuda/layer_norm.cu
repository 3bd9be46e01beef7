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

/// partial: [gridDim.x][kParts][C], the sums over this block's rows of dy·n, dy and ds. A thread has four columns
/// and keeps their sums in registers; Rows rows go through at a time, so that their loads are under way together.
template <class T, int Rows, int MostThreads>
__global__ void __launch_bounds__(MostThreads)
    backward(const T* __restrict__ dy, const float* __restrict__ s, const float* __restrict__ mean,
             const float* __restrict__ rstd, const float* __restrict__ w, float* __restrict__ ds, bool add,
             T* __restrict__ ds_work, float* __restrict__ partial, Index R, int C) {
  __shared__ float sums[2][2 * Rows][32];  // [turn][value][warp]: two turns, so that one barrier a turn is enough
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  const int c = static_cast<int>(threadIdx.x) * 4;
  const bool active = c < C;
  const float inverse = 1.0f / static_cast<float>(C);
  const float4 gain = active ? load4(w + c) : splat(0);
  float4 dw = splat(0), db = splat(0), total = splat(0);
  int turn = 0;
  for (Index first = static_cast<Index>(blockIdx.x) * Rows; first < R; first += static_cast<Index>(gridDim.x) * Rows) {
    float4 g[Rows], n[Rows], old[Rows];
    float r[Rows], part[2 * Rows];
#pragma unroll
    for (int k = 0; k < Rows; ++k) {
      g[k] = n[k] = old[k] = splat(0), r[k] = 0;
      if (first + k >= R || !active) continue;
      const Index at = (first + k) * C + c;
      g[k] = load4(dy + at), n[k] = load4(s + at);
      if (add) old[k] = load4(ds + at);
    }
#pragma unroll
    for (int k = 0; k < Rows; ++k) {
      if (first + k < R && active) r[k] = rstd[first + k], n[k] = (n[k] - splat(mean[first + k])) * r[k];
      dw = dw + g[k] * n[k], db = db + g[k];
      g[k] = g[k] * gain;
      part[2 * k] = warp_sum(sum(g[k])), part[2 * k + 1] = warp_sum(sum(g[k] * n[k]));
      if (lane == 0) sums[turn][2 * k][warp] = part[2 * k], sums[turn][2 * k + 1][warp] = part[2 * k + 1];
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 2 * Rows; ++k) {
      float all = 0;
      for (int i = 0; i < warps; ++i) all += sums[turn][k][i];
      part[k] = all * inverse;
    }
#pragma unroll
    for (int k = 0; k < Rows; ++k) {
      if (first + k >= R || !active) continue;
      const Index at = (first + k) * C + c;
      const float4 out = (g[k] - splat(part[2 * k]) - n[k] * part[2 * k + 1]) * r[k] + old[k];
      total = total + out;
      store4(ds + at, out);
      if (ds_work != nullptr) store4(ds_work + at, out);
    }
    turn = 1 - turn;
  }
  if (!active) return;
  float* mine = partial + static_cast<Index>(blockIdx.x) * kParts * C + c;
  store4(mine, dw), store4(mine + C, db), store4(mine + 2 * C, total);
}

/// f(integral constants Rows, MostThreads): wide rows leave fewer registers to a thread.
template <class F>
auto with_rows(Index C, F&& f) {
  using std::integral_constant;
  if (C <= 1024) return f(integral_constant<int, 4>{}, integral_constant<int, 256>{});
  if (C <= 2048) return f(integral_constant<int, 2>{}, integral_constant<int, 512>{});
  return f(integral_constant<int, 1>{}, integral_constant<int, 1024>{});
}

/// As many as run at once on an H100, so that all end together; other GPUs only share the rows out differently.
unsigned backward_blocks(Index R, Index C) {
  constexpr Index kMultiprocessors = 132;
  return with_rows(C, [&](auto rows, auto most_threads) {
    const Index resident = most_threads() <= 256 ? 3 : most_threads() <= 512 ? 2 : 1;
    return static_cast<unsigned>(std::min(kMultiprocessors * resident, Index{blocks_for(R, rows())}));
  });
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

Index layer_norm_scratch(Index R, Index C) { return static_cast<Index>(backward_blocks(R, C)) * kParts * C; }

template <class T>
int layer_norm_backward(const T* dy, const float* s, const float* mean, const float* rstd, const float* w,
                        float* ds, bool add_to_ds, T* ds_work, const NormGradients& out, bool add, Index R, Index C,
                        float* scratch, void* stream) {
  const auto on = static_cast<cudaStream_t>(stream);
  const unsigned blocks = backward_blocks(R, C), threads = blocks_for(C, 4 * kWarp) * kWarp;
  with_rows(C, [&](auto rows, auto most_threads) {
    backward<T, rows(), most_threads()><<<blocks, threads, 0, on>>>(dy, s, mean, rstd, w, ds, add_to_ds, ds_work,
                                                                    scratch, R, static_cast<int>(C));
  });
  if (const auto status = cudaGetLastError(); status != cudaSuccess) return status;
  return sum_partials(scratch, {out.dw, out.db, out.ds_sum}, blocks, C, add, on, kParts);
}

#define WEIGHTSCOPE_INSTANTIATE(T)                                                                              \
  template int residual_layer_norm(const float*, const T*, float*, const float*, const float*, T*, float*,     \
                                   float*, Index, Index, void*);                                               \
  template int layer_norm_backward(const T*, const float*, const float*, const float*, const float*, float*,   \
                                   bool, T*, const NormGradients&, bool, Index, Index, float*, void*);
WEIGHTSCOPE_INSTANTIATE(float)
WEIGHTSCOPE_INSTANTIATE(bf16)

}  // namespace weightscope::ops::cuda

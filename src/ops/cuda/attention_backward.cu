#include "ops/cuda/attention_tiles.cuh"

namespace weightscope::ops::cuda {
namespace {

/// delta[b, h, i] = Σ_d dout·out, which is Σ_j p·dp: a warp a row.
template <class T>
__global__ void __launch_bounds__(kThreads)
    row_products(const T* __restrict__ dout, const T* __restrict__ out, float* __restrict__ delta,
                 AttentionSizes s) {
  const Index n = static_cast<Index>(blockIdx.x) * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (n >= s.batch * s.heads * s.tokens) return;
  const Index b = n / (s.heads * s.tokens), h = n / s.tokens % s.heads, i = n % s.tokens;
  const Index at = ((b * s.tokens + i) * s.heads + h) * s.width;
  float total = 0;
  for (Index d = threadIdx.x % kWarp; d < s.width; d += kWarp)
    total += to_float(dout[at + d]) * to_float(out[at + d]);
  total = warp_sum(total);
  if (threadIdx.x % kWarp == 0) delta[n] = total;
}

template <class T, class Tile>
__global__ void __launch_bounds__(kThreads)
    backward_queries(const T* __restrict__ dout, const T* __restrict__ qkv, const float* __restrict__ lse,
                     const float* __restrict__ delta, T* __restrict__ dqkv, AttentionSizes s, Drop drop) {
  const Shared<Tile> shared(4);
  auto *q = shared.tile(0), *d = shared.tile(1), *k = shared.tile(2), *v = shared.tile(3);
  const auto [row, column, sequence, statistic] = head_of_block(s);
  const Index first = static_cast<Index>(gridDim.y - 1 - blockIdx.y) * Tile::kEdge, rows = s.tokens - first;
  const T* of_head = qkv + sequence * row + column;
  const int width = static_cast<int>(s.width), x = thread_x(), y = thread_y();
  load_tile<Tile>(q, of_head + first * row, row, rows, width);
  load_tile<Tile>(d, dout + (sequence + first) * (row / 3) + column, row / 3, rows, width);
  float norm[Tile::kRows], mean[Tile::kRows];
  float4 sum[Tile::kRows][Tile::kFours];
#pragma unroll
  for (int a = 0; a < Tile::kRows; ++a) {
    const int i = y + kSide * a;
    norm[a] = i < rows ? lse[statistic + first + i] : 0,
    mean[a] = i < rows ? delta[statistic + first + i] : 0;
    for (auto& four : sum[a]) four = splat(0);
  }
  for (Index key = 0; key <= first; key += Tile::kEdge) {
    __syncthreads();
    load_tile<Tile>(k, of_head + s.heads * s.width + key * row, row, s.tokens - key, width);
    load_tile<Tile>(v, of_head + 2 * s.heads * s.width + key * row, row, s.tokens - key, width);
    if (drop.threshold != 0) fill_factors<Tile, false>(shared.factors, drop, statistic + first, key);
    __syncthreads();
    float p[Tile::kRows][Tile::kRows], dp[Tile::kRows][Tile::kRows];
    multiply_rows<Tile>(shared, q, k, width, p), multiply_rows<Tile>(shared, d, v, width, dp);
#pragma unroll
    for (int a = 0; a < Tile::kRows; ++a)
#pragma unroll
      for (int b = 0; b < Tile::kRows; ++b) {
        const int i = y + kSide * a, j = x + kSide * b;
        const float factor = drop.threshold != 0 ? shared.factors[i * Tile::kFactorRow + j] : 1.0f;
        shared.weights[i * Tile::kKeys + j] = from_float<T>(
            key + j <= first + i ? expf(p[a][b] * s.scale - norm[a]) * (dp[a][b] * factor - mean[a]) * s.scale
                                 : 0.0f);
      }
    __syncthreads();
    add_weighted_rows<Tile>(shared, k, sum);
  }
  store_rows<Tile>(dqkv + (sequence + first) * row + column, row, rows, width, sum);
}

template <class T, class Tile>
__global__ void __launch_bounds__(kThreads)
    backward_keys(const T* __restrict__ dout, const T* __restrict__ qkv, const float* __restrict__ lse,
                  const float* __restrict__ delta, T* __restrict__ dqkv, AttentionSizes s, Drop drop) {
  const Shared<Tile> shared(4);
  auto *k = shared.tile(0), *v = shared.tile(1), *q = shared.tile(2), *d = shared.tile(3);
  const auto [row, column, sequence, statistic] = head_of_block(s);
  const Index first = static_cast<Index>(blockIdx.y) * Tile::kEdge, rows = s.tokens - first,
              part = s.heads * s.width;
  const T *of_head = qkv + sequence * row + column, *keys = of_head + first * row;
  const int width = static_cast<int>(s.width), x = thread_x(), y = thread_y();
  load_tile<Tile>(k, keys + part, row, rows, width);
  load_tile<Tile>(v, keys + 2 * part, row, rows, width);
  float4 dk[Tile::kRows][Tile::kFours], dv[Tile::kRows][Tile::kFours];
#pragma unroll
  for (int a = 0; a < Tile::kRows; ++a)
#pragma unroll
    for (int u = 0; u < Tile::kFours; ++u) dk[a][u] = dv[a][u] = splat(0);
  for (Index query = first; query < s.tokens; query += Tile::kEdge) {
    __syncthreads();
    load_tile<Tile>(q, of_head + query * row, row, s.tokens - query, width);
    load_tile<Tile>(d, dout + (sequence + query) * (row / 3) + column, row / 3, s.tokens - query, width);
    if (drop.threshold != 0) fill_factors<Tile, true>(shared.factors, drop, statistic + query, first);
    __syncthreads();
    float p[Tile::kRows][Tile::kRows], dp[Tile::kRows][Tile::kRows];
    multiply_rows<Tile>(shared, k, q, width, p), multiply_rows<Tile>(shared, v, d, width, dp);
#pragma unroll
    for (int b = 0; b < Tile::kRows; ++b) {
      const Index i = query + x + kSide * b;
      const float norm = i < s.tokens ? lse[statistic + i] : 0,
                  mean = i < s.tokens ? delta[statistic + i] : 0;
#pragma unroll
      for (int a = 0; a < Tile::kRows; ++a) {
        const int j = y + kSide * a, column_of_weights = x + kSide * b;
        const float factor =
            drop.threshold != 0 ? shared.factors[j * Tile::kFactorRow + column_of_weights] : 1.0f;
        const float probability = first + j <= i ? expf(p[a][b] * s.scale - norm) : 0.0f;
        shared.weights[j * Tile::kKeys + column_of_weights] = from_float<T>(probability * factor);
        dp[a][b] = probability * (dp[a][b] * factor - mean) * s.scale;
      }
    }
    __syncthreads();
    add_weighted_rows<Tile>(shared, d, dv);
    __syncthreads();
#pragma unroll
    for (int a = 0; a < Tile::kRows; ++a)
#pragma unroll
      for (int b = 0; b < Tile::kRows; ++b)
        shared.weights[(y + kSide * a) * Tile::kKeys + x + kSide * b] = from_float<T>(dp[a][b]);
    __syncthreads();
    add_weighted_rows<Tile>(shared, q, dk);
  }
  T* to = dqkv + (sequence + first) * row + column;
  store_rows<Tile>(to + part, row, rows, width, dk), store_rows<Tile>(to + 2 * part, row, rows, width, dv);
}

}  // namespace

Index widest_head() {
  return Tiles<32, 256, float>::bytes(4) <= device::most_shared_memory() ? kWidestHead : 128;
}

template <class T>
int tiled_attention_backward(const T* dout, const T* qkv, const T* out, const float* lse, T* dqkv,
                             const AttentionSizes& s, const Drop& drop, float* delta, void* stream) {
  const int status =
      device::launch(row_products<T>, blocks_for(s.batch * s.heads * s.tokens, kThreads / kWarp), kThreads, 0,
                     stream, dout, out, delta, s);
  if (status != 0) return status;
  return with_tiles<T>(s.width, [&](auto tiles) {
    using Tile = decltype(tiles);
    const auto start = [&](auto kernel) {
      return device::launch(kernel, blocks_of(s, Tile::kEdge), kThreads, Tile::bytes(4), stream, dout, qkv,
                            lse, delta, dqkv, s, drop);
    };
    const int queries = start(backward_queries<T, Tile>);
    return queries != 0 ? queries : start(backward_keys<T, Tile>);
  });
}

#define WEIGHTSCOPE_INSTANTIATE(T)                                                      \
  template int tiled_attention_backward(const T*, const T*, const T*, const float*, T*, \
                                        const AttentionSizes&, const Drop&, float*, void*);
WEIGHTSCOPE_INSTANTIATE(float)
WEIGHTSCOPE_INSTANTIATE(bf16)

}  // namespace weightscope::ops::cuda

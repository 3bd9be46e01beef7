#include "ops/cuda/attention_tiles.cuh"

namespace weightscope::ops::cuda {
namespace {

template <class F>
__device__ float over_columns(float v, F&& combine) {
#pragma unroll
  for (int o = kSide / 2; o > 0; o /= 2) v = combine(v, __shfl_xor_sync(kAllLanes, v, o));
  return v;
}

template <class T, class Tile>
__global__ void __launch_bounds__(kThreads) forward(const T* __restrict__ qkv, T* __restrict__ out,
                                                    float* __restrict__ lse, AttentionSizes s, Drop drop) {
  const Shared<Tile> shared(2);
  auto *q = shared.tile(0), *keys = shared.tile(1);
  const auto [row, column, sequence, statistic] = head_of_block(s);
  const Index first = static_cast<Index>(gridDim.y - 1 - blockIdx.y) * Tile::kEdge, rows = s.tokens - first;
  const T* of_head = qkv + sequence * row + column;
  const int width = static_cast<int>(s.width), x = thread_x(), y = thread_y();
  load_tile<Tile>(q, of_head + first * row, row, rows, width);
  float top[Tile::kRows], total[Tile::kRows];
  float4 sum[Tile::kRows][Tile::kFours];
#pragma unroll
  for (int a = 0; a < Tile::kRows; ++a) {
    top[a] = -INFINITY, total[a] = 0;
    for (auto& four : sum[a]) four = splat(0);
  }
  for (Index key = 0; key <= first; key += Tile::kEdge) {
    __syncthreads();
    load_tile<Tile>(keys, of_head + s.heads * s.width + key * row, row, s.tokens - key, width);
    if (drop.threshold != 0) fill_factors<Tile, false>(shared.factors, drop, statistic + first, key);
    __syncthreads();
    float p[Tile::kRows][Tile::kRows];
    multiply_rows<Tile>(shared, q, keys, width, p);
#pragma unroll
    for (int a = 0; a < Tile::kRows; ++a) {
      const int i = y + kSide * a;
      float largest = top[a];
#pragma unroll
      for (int b = 0; b < Tile::kRows; ++b) {
        p[a][b] = key + x + kSide * b <= first + i ? p[a][b] * s.scale : -INFINITY;
        largest = fmaxf(largest, p[a][b]);
      }
      largest = over_columns(largest, [](float v, float w) { return fmaxf(v, w); });
      const float shrink = expf(top[a] - largest);
      float added = 0;
#pragma unroll
      for (int b = 0; b < Tile::kRows; ++b) {
        const float e = expf(p[a][b] - largest);
        const int j = x + kSide * b;
        const float factor = drop.threshold != 0 ? shared.factors[i * Tile::kFactorRow + j] : 1.0f;
        shared.weights[i * Tile::kKeys + j] = from_float<T>(e * factor);
        added += e;
      }
      total[a] = total[a] * shrink + over_columns(added, [](float v, float w) { return v + w; });
      top[a] = largest;
#pragma unroll
      for (auto& four : sum[a]) four = four * shrink;
    }
    __syncthreads();
    load_tile<Tile>(keys, of_head + 2 * s.heads * s.width + key * row, row, s.tokens - key, width);
    __syncthreads();
    add_weighted_rows<Tile>(shared, keys, sum);
  }
#pragma unroll
  for (int a = 0; a < Tile::kRows; ++a) {
    for (auto& four : sum[a]) four = four * (1.0f / total[a]);
    const int i = y + kSide * a;
    if (x == 0 && i < rows) lse[statistic + first + i] = top[a] + logf(total[a]);
  }
  store_rows<Tile>(out + (sequence + first) * (row / 3) + column, row / 3, rows, width, sum);
}

}  // namespace

template <class T>
int tiled_attention(const T* qkv, T* out, float* lse, const AttentionSizes& s, const Drop& drop,
                    void* stream) {
  return with_tiles<T>(s.width, [&](auto tiles) {
    using Tile = decltype(tiles);
    return device::launch(forward<T, Tile>, blocks_of(s, Tile::kEdge), kThreads, Tile::bytes(2), stream, qkv,
                          out, lse, s, drop);
  });
}

template int tiled_attention(const float*, float*, float*, const AttentionSizes&, const Drop&, void*);
template int tiled_attention(const bf16*, bf16*, float*, const AttentionSizes&, const Drop&, void*);

}  // namespace weightscope::ops::cuda

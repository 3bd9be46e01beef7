#pragma once
// Causal attention where cuDNN has no kernel or another mask of dropped weights: tiles of q, k, v in shared
// memory, softmax online (Dao 2023, "FlashAttention-2"), sums in float32. Products of bf16 are made on tensor
// cores, for which attention weights and their gradients are rounded once more; those of float32 are not. No
// T x T matrix is kept, and no sum has more than one order: gradients of q and those of k, v are added up in
// kernels of their own.
#include <type_traits>

#include "core/philox.hpp"
#include "ops/cuda/device.cuh"
#include "ops/cuda/kernels.hpp"
#include "ops/cuda/tensor_cores.cuh"

namespace weightscope::ops::cuda {

constexpr int kSide = 16;  // threads are a square: y across the rows of a result, x across its columns
constexpr int kThreads = kSide * kSide;

/// Tiles of Edge queries or keys, with heads up to Width wide.
template <int Edge, int Width, class T>
struct Tiles {
  using Element = T;
  static constexpr bool kTensorCores = std::is_same_v<T, bf16>;
  static constexpr int kEdge = Edge, kWidth = Width;
  static constexpr int kRows = Edge / kSide;          ///< of a thread: y, y + 16, ...
  static constexpr int kFours = Width / (4 * kSide);  ///< of columns of a thread: 4x, 4x + 64, ...
  static constexpr int kApart = 16 / sizeof(T);       ///< elements that keep rows from the banks of others
  // From row to row: of tiles and weights in elements, of factors and products in floats.
  static constexpr int kRow = Width + kApart, kKeys = Edge + kApart;
  static constexpr int kFactorRow = Edge + 4, kProductRow = (Width > Edge ? Width : Edge) + 4;
  static constexpr int kTile = Edge * kRow;
  static constexpr std::size_t bytes(int tiles) {
    return static_cast<std::size_t>(tiles * kTile + Edge * kKeys) * sizeof(T) +
           (kTensorCores ? Edge * (kFactorRow + kProductRow) * sizeof(float) : 0);
  }
};

/// The shared memory of a block: tiles, then the weights of one tile of queries and one of keys.
template <class Tile>
struct Shared {
  using Element = typename Tile::Element;
  Element *tiles, *weights;
  float* factors;   ///< of the weights, Tile::kFactorRow; for float32 where the weights will be
  float* products;  ///< what tensor cores leave, Tile::kProductRow
  __device__ explicit Shared(int count)
      : tiles(device::shared_memory<Element>()), weights(tiles + count * Tile::kTile) {
    if constexpr (Tile::kTensorCores) {
      factors = reinterpret_cast<float*>(weights + Tile::kEdge * Tile::kKeys);
      products = factors + Tile::kEdge * Tile::kFactorRow;
    } else {
      factors = weights, products = nullptr;
    }
  }
  __device__ Element* tile(int n) const { return tiles + n * Tile::kTile; }
};

__device__ inline int thread_x() { return static_cast<int>(threadIdx.x) % kSide; }
__device__ inline int thread_y() { return static_cast<int>(threadIdx.x) / kSide; }

/// Which head of which sequence a block works for, and the elements of it.
struct Head {
  Index row, column, sequence;  ///< of q in qkv: from token to token, of the head, of the sequence
  Index statistic;              ///< of its first query in lse and delta, and in the stream of masks
};
__device__ inline Head head_of_block(const AttentionSizes& s) {
  const Index b = blockIdx.x / s.heads, h = blockIdx.x % s.heads;
  return {3 * s.heads * s.width, h * s.width, b * s.tokens, blockIdx.x * s.tokens};
}

__device__ inline float component(float4 v, int k) {
  return k == 0 ? v.x : k == 1 ? v.y : k == 2 ? v.z : v.w;
}

/// Rows beyond `rows` and columns beyond `width` become zero.
template <class Tile, class T>
__device__ void load_tile(T* tile, const T* from, Index row, Index rows, int width) {
  constexpr int kFours = Tile::kWidth / 4;
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kEdge * kFours; i += kThreads) {
    const int r = i / kFours, d = i % kFours * 4;
    const T* at = from + r * row + d;
    float4 x = splat(0);
    if (r < rows && width % 4 == 0) {
      if (d < width) x = load4(at);
    } else if (r < rows) {
      float parts[4]{};
      for (int k = 0; k < 4 && d + k < width; ++k) parts[k] = to_float(at[k]);
      x = {parts[0], parts[1], parts[2], parts[3]};
    }
    store4(tile + r * Tile::kRow + d, x);
  }
}

template <class Tile, class T>
__device__ void store_rows(T* to, Index row, Index rows, int width,
                           const float4 (&x)[Tile::kRows][Tile::kFours]) {
#pragma unroll
  for (int a = 0; a < Tile::kRows; ++a) {
    const int r = thread_y() + kSide * a;
    if (r >= rows) continue;
#pragma unroll
    for (int u = 0; u < Tile::kFours; ++u) {
      const int c = 4 * (thread_x() + kSide * u);
      T* at = to + r * row + c;
      if (width % 4 == 0 && c < width)
        store4(at, x[a][u]);
      else
        for (int k = 0; k < 4 && c + k < width; ++k) at[k] = from_float<T>(component(x[a][u], k));
    }
  }
}

/// f(first row, first column) for the 16 x 16 parts of a product, shared out over the warps.
template <int Rows, int Columns, class F>
__device__ void each_part(F&& f) {
  constexpr int kAcross = Columns / 16;
  for (int n = static_cast<int>(threadIdx.x / kWarp); n < Rows / 16 * kAcross;
       n += kThreads / static_cast<int>(kWarp))
    f(n / kAcross * 16, n % kAcross * 16);
}

/// out[a][b] = Σ_d p[y + 16a][d] · q[x + 16b][d].
template <class Tile>
__device__ void multiply_rows(const Shared<Tile>& shared, const bf16* p, const bf16* q, int width,
                              float (&out)[Tile::kRows][Tile::kRows]) {
  each_part<Tile::kEdge, Tile::kEdge>([&](int i, int j) {
    tensor_product<true>(p + i * Tile::kRow, Tile::kRow, q + j * Tile::kRow, Tile::kRow,
                         (width + 15) / 16 * 16, shared.products + i * Tile::kProductRow + j,
                         Tile::kProductRow);
  });
  __syncthreads();
#pragma unroll
  for (int a = 0; a < Tile::kRows; ++a)
#pragma unroll
    for (int b = 0; b < Tile::kRows; ++b)
      out[a][b] = shared.products[(thread_y() + kSide * a) * Tile::kProductRow + thread_x() + kSide * b];
  __syncthreads();
}
template <class Tile>
__device__ void multiply_rows(const Shared<Tile>&, const float* p, const float* q, int width,
                              float (&out)[Tile::kRows][Tile::kRows]) {
#pragma unroll
  for (auto& row : out)
    for (auto& element : row) element = 0;
  const float *first_p = p + thread_y() * Tile::kRow, *first_q = q + thread_x() * Tile::kRow;
  for (int d = 0; d < width; d += 4) {
    float4 left[Tile::kRows], right[Tile::kRows];
#pragma unroll
    for (int a = 0; a < Tile::kRows; ++a) {
      left[a] = load4(first_p + kSide * a * Tile::kRow + d);
      right[a] = load4(first_q + kSide * a * Tile::kRow + d);
    }
#pragma unroll
    for (int a = 0; a < Tile::kRows; ++a)
#pragma unroll
      for (int b = 0; b < Tile::kRows; ++b) {
        float& to = out[a][b];
        to += left[a].x * right[b].x, to += left[a].y * right[b].y;
        to += left[a].z * right[b].z, to += left[a].w * right[b].w;
      }
  }
}

/// out[a] += Σ_j weights[y + 16a][j] · rows[j]. The block has to meet before the next product.
template <class Tile>
__device__ void add_weighted_rows(const Shared<Tile>& shared, const bf16* rows,
                                  float4 (&out)[Tile::kRows][Tile::kFours]) {
  each_part<Tile::kEdge, Tile::kWidth>([&](int i, int c) {
    tensor_product<false>(shared.weights + i * Tile::kKeys, Tile::kKeys, rows + c, Tile::kRow, Tile::kEdge,
                          shared.products + i * Tile::kProductRow + c, Tile::kProductRow);
  });
  __syncthreads();
#pragma unroll
  for (int a = 0; a < Tile::kRows; ++a)
#pragma unroll
    for (int u = 0; u < Tile::kFours; ++u)
      out[a][u] = out[a][u] + load4(shared.products + (thread_y() + kSide * a) * Tile::kProductRow +
                                    4 * (thread_x() + kSide * u));
}
template <class Tile>
__device__ void add_weighted_rows(const Shared<Tile>& shared, const float* rows,
                                  float4 (&out)[Tile::kRows][Tile::kFours]) {
  const float *mine = shared.weights + thread_y() * Tile::kKeys, *columns = rows + 4 * thread_x();
  for (int j = 0; j < Tile::kEdge; j += 4) {
    float4 w[Tile::kRows];
#pragma unroll
    for (int a = 0; a < Tile::kRows; ++a) w[a] = load4(mine + kSide * a * Tile::kKeys + j);
#pragma unroll
    for (int k = 0; k < 4; ++k)
#pragma unroll
      for (int u = 0; u < Tile::kFours; ++u) {
        const float4 row = load4(columns + (j + k) * Tile::kRow + 4 * kSide * u);
#pragma unroll
        for (int a = 0; a < Tile::kRows; ++a) out[a][u] = out[a][u] + row * component(w[a], k);
      }
  }
}

/// What the weights of a tile are multiplied by: 0 where they are dropped, else 1 / (1 − p). `query`: of
/// the micro-batch's rows of weights, that of the tile's first query. By query, or by key.
template <class Tile, bool ByKey>
__device__ void fill_factors(float* factors, const Drop& unsettled, Index query, Index key) {
  const Drop drop = settled(unsettled);  // anew for every tile: registers are dearer than two cached words
  const Index first = drop.first_row + query;
  const Philox stream(drop.key);
  constexpr int kFour = Tile::kEdge / 4;
  for (int n = static_cast<int>(threadIdx.x); n < Tile::kEdge * kFour; n += kThreads) {
    // Lanes side by side write side by side.
    const int i = ByKey ? n % Tile::kEdge : n / kFour, j = 4 * (ByKey ? n / Tile::kEdge : n % kFour);
    const auto words =
        stream.block(static_cast<std::uint64_t>((key + j) / 4), static_cast<std::uint64_t>(first + i));
    float four[4];
#pragma unroll
    for (int k = 0; k < 4; ++k)
      four[k] = words[static_cast<std::size_t>(k)] < drop.threshold ? 0.0f : drop.keep;
    if constexpr (ByKey) {
#pragma unroll
      for (int k = 0; k < 4; ++k) factors[(j + k) * Tile::kFactorRow + i] = four[k];
    } else {
      store4(factors + i * Tile::kFactorRow + j, {four[0], four[1], four[2], four[3]});
    }
  }
}

/// f(tiles for heads of `width` elements T).
template <class T, class F>
int with_tiles(Index width, F&& f) {
  if (width <= 64) return f(Tiles<64, 64, T>{});
  if (width <= 128) return f(Tiles<32, 128, T>{});
  return f(Tiles<32, 256, T>{});
}

inline dim3 blocks_of(const AttentionSizes& s, int edge) {
  return {static_cast<unsigned>(s.batch * s.heads), blocks_for(s.tokens, edge)};
}

}  // namespace weightscope::ops::cuda

// The gradient of the token embedding: positions are sorted by token (stable), cut into chunks of kChunk, and
// each chunk adds up its runs of equal tokens. A run that lies in one chunk is finished there; what lies in
// several is joined in a second pass. So every sum has one order, and a frequent token does not wait for one
// block.
#include <cub/device/device_radix_sort.cuh>

#include "ops/cuda/device.cuh"
#include "ops/cuda/kernels.hpp"

namespace weightscope::ops::cuda {
namespace {

constexpr unsigned kThreads = 256;
constexpr Index kChunk = 32;

__global__ void __launch_bounds__(kThreads)
    look_up(const Index* __restrict__ tokens, const float* __restrict__ wte, const float* __restrict__ wpe,
            float* __restrict__ x, Index R, Index T, Index quads) {
  const Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= R * quads) return;
  const Index r = i / quads, c = i % quads * 4, C = quads * 4;
  store4(x + r * C + c, load4(wte + tokens[r] * C + c) + load4(wpe + r % T * C + c));
}

__global__ void number(const Index* __restrict__ tokens, std::uint32_t* __restrict__ keys,
                       std::uint32_t* __restrict__ rows, Index R) {
  const Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < R) keys[i] = static_cast<std::uint32_t>(tokens[i]), rows[i] = static_cast<std::uint32_t>(i);
}

/// first, last [chunks][C]: what the first and the last run of a chunk add up to here, where they go on in
/// the chunk before or after. A chunk that is one such run from end to end counts as `first`.
__global__ void __launch_bounds__(kThreads)
    chunk_sums(const float* __restrict__ dx, const std::uint32_t* __restrict__ keys,
               const std::uint32_t* __restrict__ rows, float* __restrict__ dwte, float* __restrict__ first,
               float* __restrict__ last, Index R, Index C) {
  const Index begin = blockIdx.x * kChunk, end = begin + kChunk < R ? begin + kChunk : R;
  const bool goes_back = begin > 0 && keys[begin - 1] == keys[begin],
             goes_on = end < R && keys[end - 1] == keys[end];
  for (Index c = (blockIdx.y * kThreads + threadIdx.x) * 4; c < C;
       c += static_cast<Index>(gridDim.y) * kThreads * 4) {
    float4 run = splat(0);
    Index run_begin = begin;
    for (Index i = begin; i < end; ++i) {
      run = run + load4(dx + static_cast<Index>(rows[i]) * C + c);
      if (i + 1 < end && keys[i + 1] == keys[i]) continue;
      if (run_begin == begin && goes_back)
        store4(first + blockIdx.x * C + c, run);
      else if (i + 1 == end && goes_on)
        store4(last + blockIdx.x * C + c, run);
      else
        store4(dwte + static_cast<Index>(keys[i]) * C + c,
               load4(dwte + static_cast<Index>(keys[i]) * C + c) + run);
      run = splat(0), run_begin = i + 1;
    }
  }
}

/// Joins the runs that begin in chunk blockIdx.x and end in a later one.
__global__ void __launch_bounds__(kThreads)
    join_runs(const std::uint32_t* __restrict__ keys, float* __restrict__ dwte,
              const float* __restrict__ first, const float* __restrict__ last, Index R, Index C) {
  const Index begin = blockIdx.x * kChunk, end = begin + kChunk;
  if (end >= R || keys[end - 1] != keys[end]) return;
  const std::uint32_t token = keys[end - 1];
  if (keys[begin] == token && begin > 0 && keys[begin - 1] == token) return;  // it began in an earlier chunk
  Index chunks = 1;                                                           // after this one
  while ((blockIdx.x + chunks + 1) * kChunk < R && keys[(blockIdx.x + chunks + 1) * kChunk] == token)
    ++chunks;
  for (Index c = (blockIdx.y * kThreads + threadIdx.x) * 4; c < C;
       c += static_cast<Index>(gridDim.y) * kThreads * 4) {
    float4 run = load4(last + blockIdx.x * C + c);
#pragma unroll 8
    for (Index k = 1; k <= chunks; ++k) run = run + load4(first + (blockIdx.x + k) * C + c);
    float* out = dwte + static_cast<Index>(token) * C + c;
    store4(out, load4(out) + run);
  }
}

/// dwpe[t] = or += Σ over samples; rows beyond T become zero on assign.
__global__ void __launch_bounds__(kThreads) positions(const float* __restrict__ dx, float* __restrict__ dwpe,
                                                      bool add, Index B, Index T, Index quads, Index rows) {
  const Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= rows * quads) return;
  const Index t = i / quads, c = i % quads * 4, C = quads * 4;
  float4 total = add ? load4(dwpe + t * C + c) : splat(0);
  if (t < T)
#pragma unroll 8
    for (Index b = 0; b < B; ++b) total = total + load4(dx + (b * T + t) * C + c);
  store4(dwpe + t * C + c, total);
}

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

struct Layout {
  std::size_t list, partial, sort, total;
};
Layout layout(Index R, Index C) {
  Layout l{};
  l.list = aligned(static_cast<std::size_t>(R) * 4);
  l.partial = aligned(static_cast<std::size_t>((R + kChunk - 1) / kChunk * C) * 4);
  const std::uint32_t* in = nullptr;
  std::uint32_t* out = nullptr;
  cub::DeviceRadixSort::SortPairs(nullptr, l.sort, in, out, in, out, static_cast<int>(R));
  l.total = 4 * l.list + 2 * l.partial + aligned(l.sort);
  return l;
}

}  // namespace

int embedding(const Index* tokens, const float* wte, const float* wpe, float* x, Index R, Index T, Index C,
              void* stream) {
  return device::launch(look_up, blocks_for(R * C / 4, kThreads), kThreads, 0, stream, tokens, wte, wpe, x, R,
                        T, C / 4);
}

std::size_t embedding_scratch(Index R, Index C) { return layout(R, C).total; }

int embedding_backward(const float* dx, const Index* tokens, float* dwte, float* dwpe, bool add, Index R,
                       Index T, Index C, Index vocab, Index position_rows, void* scratch, void* stream) {
  const Layout l = layout(R, C);
  auto* at = static_cast<std::byte*>(scratch);
  const auto take = [&](std::size_t bytes) { return std::exchange(at, at + bytes); };
  auto *keys = reinterpret_cast<std::uint32_t*>(take(l.list)),
       *rows = reinterpret_cast<std::uint32_t*>(take(l.list)),
       *sorted = reinterpret_cast<std::uint32_t*>(take(l.list)),
       *sorted_rows = reinterpret_cast<std::uint32_t*>(take(l.list));
  auto *first = reinterpret_cast<float*>(take(l.partial)), *last = reinterpret_cast<float*>(take(l.partial));
  int status = device::launch(positions, blocks_for(position_rows * C / 4, kThreads), kThreads, 0, stream, dx,
                              dwpe, add, R / T, T, C / 4, position_rows);
  if (status == 0)
    status = device::launch(number, blocks_for(R, kThreads), kThreads, 0, stream, tokens, keys, rows, R);
  if (status != 0) return status;
  int bits = 1;
  while ((Index{1} << bits) < vocab) ++bits;
  std::size_t sort_bytes = l.sort;
  status = cub::DeviceRadixSort::SortPairs(at, sort_bytes, keys, sorted, rows, sorted_rows,
                                           static_cast<int>(R), 0, bits, static_cast<cudaStream_t>(stream));
  if (status != 0) return status;
  const dim3 grid(blocks_for(R, kChunk), blocks_for(C, 4 * kThreads));
  status =
      device::launch(chunk_sums, grid, kThreads, 0, stream, dx, sorted, sorted_rows, dwte, first, last, R, C);
  if (status != 0) return status;
  return device::launch(join_runs, grid, kThreads, 0, stream, sorted, dwte, first, last, R, C);
}

}  // namespace weightscope::ops::cuda

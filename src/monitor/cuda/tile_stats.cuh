#pragma once
// One thread block measures one tile. Its warps take pieces of it in turn; memory is read once, and nothing
// is exchanged between lanes before the end. Sums are made in a fixed order: per lane, then the xor tree of a
// warp, then the tree of the warps.
#include "core/kernel.cuh"
#include "monitor/cuda/device_tile.hpp"
#include "monitor/cuda/tile_stats.hpp"

namespace weightscope {

struct CountInSharedMemory {
  std::uint32_t* counters;
  __device__ __forceinline__ void operator()(int counter) const { atomicAdd(counters + counter, 1U); }
};

template <class T>
__device__ __forceinline__ T over_lanes(T v) {
#pragma unroll
  for (int o = 16; o > 0; o /= 2) v += __shfl_xor_sync(~0U, v, o);
  return v;
}

/// The same on every lane.
template <bool kInitial>
__device__ __forceinline__ PowerSums over_lanes(PowerSums s) {
  s.s1 = over_lanes<double>(s.s1), s.s2 = over_lanes<double>(s.s2);
  s.s3 = over_lanes<double>(s.s3), s.s4 = over_lanes<double>(s.s4);
  if (kInitial) s.distance2 = over_lanes<double>(s.distance2), s.initial2 = over_lanes<double>(s.initial2);
#pragma unroll
  for (int o = 16; o > 0; o /= 2) {
    s.low = fminf(s.low, __shfl_xor_sync(~0U, s.low, o));
    s.high = fmaxf(s.high, __shfl_xor_sync(~0U, s.high, o));
  }
  s.finite = __reduce_add_sync(~0U, s.finite), s.zeros = __reduce_add_sync(~0U, s.zeros);
  return s;
}

template <int n>
__device__ __forceinline__ void read_piece(float (&x)[n], const float* from, unsigned lane) {
#pragma unroll
  for (unsigned i = 0; i < n; i += 4) {
    const float4 v = __ldcs(reinterpret_cast<const float4*>(from + element_of(lane, i)));
    x[i] = v.x, x[i + 1] = v.y, x[i + 2] = v.z, x[i + 3] = v.w;
  }
}

__device__ __forceinline__ bool on_16_bytes(const float* p) {
  return reinterpret_cast<std::uintptr_t>(p) % 16 == 0;
}

/// Mean of a warp's first piece, of its finite values. finite: all of x are.
template <int n>
__device__ __forceinline__ double center_of(const float (&x)[n], bool finite, const float* piece,
                                            unsigned count, unsigned lane) {
  double sum = 0;
  unsigned values = finite ? n : 0;
  if (finite) {
#pragma unroll
    for (int i = 0; i < n; ++i) sum += x[i];
  } else {
#pragma unroll 1
    for (unsigned i = 0; i < n; ++i) {
      const unsigned e = element_of(lane, i);
      const float v = e < count ? piece[e] : HUGE_VALF;
      if (is_finite(v)) sum += v, ++values;
    }
  }
  sum = over_lanes<double>(sum);
  values = __reduce_add_sync(~0U, values);
  return values == 0 ? 0 : sum / values;
}

template <int kPerLane, int kWarps, bool kInitial>
__device__ __forceinline__ BlockStats warp_stats(const DeviceTile& tile, unsigned warp, unsigned lane,
                                                 CountInSharedMemory count) {
  constexpr unsigned kPiece = kPerLane * 32;
  const bool moved = kInitial && tile.initial != nullptr;
  const bool vectors = on_16_bytes(tile.x) && (!moved || on_16_bytes(tile.initial));
  PowerSums sums;
  double center = 0;
  for (unsigned at = warp * kPiece; at < tile.count; at += kWarps * kPiece) {
    float x[kPerLane], total = HUGE_VALF;
    if (vectors && at + kPiece <= tile.count) {
      read_piece(x, tile.x + at, lane);
      total = 0;
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) total += x[i];
    }
    // One value that is not finite makes the total so. What overflows takes the slow way as well.
    const bool finite = is_finite(total);
    if (at == warp * kPiece) center = center_of(x, finite, tile.x + at, tile.count - at, lane);
    if (finite) {
      if (moved) {
        float from[kPerLane];
        read_piece(from, tile.initial + at, lane);
#pragma unroll
        for (int i = 0; i < kPerLane; ++i) add_distance(sums, x[i], from[i]);
      }
      add_finite(sums, x, center, count);
    } else {
#pragma unroll 1
      for (unsigned i = 0; i < kPerLane; ++i) {
        const unsigned e = at + element_of(lane, i);
        if (e >= tile.count) continue;
        const float v = tile.x[e];
        add_any(sums, v, center, count);
        if (moved && is_finite(v)) add_distance(sums, v, tile.initial[e]);
      }
    }
  }
  return stats_of(over_lanes<kInitial>(sums), center);
}

/// stats: one for each tile. counters: kSlots of each row, added to.
template <int kPerLane, int kWarps, bool kInitial, int kBlocksPerProcessor>
__global__ void __launch_bounds__(kWarps * 32, kBlocksPerProcessor)
    tile_stats(const DeviceTile* __restrict__ tiles, BlockStats* __restrict__ stats,
               std::uint32_t* __restrict__ counters) {
  __shared__ std::uint32_t here[kCounters];
  __shared__ BlockStats parts[kWarps];
  const DeviceTile tile = tiles[blockIdx.x];
  const unsigned thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  for (unsigned i = thread; i < kCounters; i += kWarps * 32) here[i] = 0;
  __syncthreads();
  const BlockStats part = warp_stats<kPerLane, kWarps, kInitial>(tile, warp, lane, {here});
  if (lane == 0) parts[warp] = part;
  __syncthreads();
  for (unsigned i = thread; i < kCounters; i += kWarps * 32) {
    const int slot = slot_of_counter(static_cast<int>(i));
    if (here[i] != 0) atomicAdd(counters + static_cast<std::size_t>(tile.row) * kSlots + slot, here[i]);
  }
  if (warp != 0) return;
#pragma unroll
  for (unsigned o = 1; o < kWarps; o *= 2) {
    if (lane % (2 * o) == 0 && lane + o < kWarps) merge_stats(parts[lane], parts[lane + o]);
    __syncwarp();
  }
  if (lane == 0) stats[blockIdx.x] = parts[0];
}

}  // namespace weightscope

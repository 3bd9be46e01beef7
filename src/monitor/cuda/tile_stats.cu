#include "monitor/cuda/tile_stats.cuh"
#include "monitor/digest_term.hpp"

namespace weightscope {
namespace {

constexpr int kWarps = 8;

__global__ void __launch_bounds__(kWarps * 32)
    digests(const DeviceTile* __restrict__ tiles, unsigned long long* __restrict__ sums) {
  const DeviceTile tile = tiles[blockIdx.x];
  std::uint64_t sum = 0;
  // A tile starts at an even element, so a pair never lies in two tiles.
  for (unsigned e = 2 * threadIdx.x; e < tile.count; e += 2 * blockDim.x)
    sum += digest_term((tile.offset + e) / 2, __float_as_uint(tile.x[e]),
                       e + 1 < tile.count ? __float_as_uint(tile.x[e + 1]) : 0U);
  sum = over_lanes(sum);
  if (threadIdx.x % 32 == 0) atomicAdd(&sums[tile.row], static_cast<unsigned long long>(sum));
}

}  // namespace

int launch_tile_stats(const DeviceTile* tiles, std::size_t count, bool initial, BlockStats* stats,
                      std::uint32_t* counters, void* stream) {
  const auto blocks = static_cast<unsigned>(count);
  const auto kernel = initial ? tile_stats<16, kWarps, true, 3> : tile_stats<32, kWarps, false, 3>;
  return device::launch(kernel, blocks, kWarps * 32, 0, stream, tiles, stats, counters);
}

int launch_digests(const DeviceTile* tiles, std::size_t count, unsigned long long* sums, void* stream) {
  return device::launch(digests, static_cast<unsigned>(count), kWarps * 32, 0, stream, tiles, sums);
}

}  // namespace weightscope

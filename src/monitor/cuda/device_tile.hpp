#pragma once
#include <cstddef>
#include <cstdint>

#include "monitor/blocks.hpp"

namespace weightscope {

/// One Tile in device memory. `initial` may be null.
struct DeviceTile {
  const float* x;
  const float* initial;
  std::uint64_t offset;  ///< of x in its slice
  std::uint32_t count, row;
};

/// Launchers of the kernels; all pointers are device memory, `stream` a cudaStream_t. They return the
/// cudaError_t of the launch.
/// stats: of every tile, written. counters: kSlots of every row, added to. initial: some tile has it.
int launch_tile_stats(const DeviceTile* tiles, std::size_t count, bool initial, BlockStats* stats,
                      std::uint32_t* counters, void* stream);
/// sums: one of every row, added to.
int launch_digests(const DeviceTile* tiles, std::size_t count, unsigned long long* sums, void* stream);

}  // namespace weightscope

#pragma once
#include <cstddef>
#include <cstdint>

#include "monitor/blocks.hpp"

namespace weightscope {

/// One Chunk in device memory. `initial` may be null.
struct DeviceChunk {
  const float* x;
  const float* initial;
  std::uint64_t offset;  ///< of x in its slice
  std::uint32_t count, first_block, slice;
};

/// Launchers of the kernels in weight_stats.cu; all pointers are device memory, `stream` a cudaStream_t. They
/// return the cudaError_t of the launch.
/// blocks and slots are written whole: BlockStats of every block, kSlots counters for each chunk.
int launch_weight_stats(const DeviceChunk* chunks, std::size_t count, BlockStats* blocks,
                        std::uint32_t* slots, void* stream);
/// sums: one for each slice, zeroed before.
int launch_digests(const DeviceChunk* chunks, std::size_t count, unsigned long long* sums, void* stream);

}  // namespace weightscope

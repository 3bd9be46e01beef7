#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/weight_slice.hpp"
#include "monitor/bins.hpp"
#include "monitor/summary.hpp"

namespace weightscope {

/// How one pass is cut up, the same for every machine, so that sums are made of the same parts in the same
/// order on any number of threads: moments per block of 4096 elements, counters per chunk of 16 blocks.
inline constexpr std::size_t kBlock = 4096, kBlocksPerChunk = 16, kChunk = kBlock * kBlocksPerChunk;

/// What a kernel leaves behind for one block. m_k = Σ (x − mean)^k over the finite values.
struct BlockStats {
  double mean, m2, m3, m4, distance2, initial2;
  float min, max;
  std::uint32_t finite, zeros;
};

/// Of a block of so many elements.
Summary summary_of(const BlockStats& stats, std::size_t elements);
/// The bins among kSlots counters, and the overflow of both signs.
void add_counts(Histogram& histogram, const std::uint32_t* slots);

/// Elements [offset, offset + count) of one slice; its blocks are numbered from first_block.
struct Chunk {
  std::size_t slice, offset, count, first_block;
};

struct Pass {
  explicit Pass(std::span<const WeightSlice> slices);

  std::vector<Chunk> chunks;
  std::vector<BlockStats> blocks;    ///< of all chunks, in order
  std::vector<std::uint32_t> slots;  ///< kSlots counters for each chunk

  /// Blocks merged in order, counters added. Threads share out the slices.
  std::vector<Measurement> combine(std::span<const WeightSlice> slices, int threads) const;
};

}  // namespace weightscope

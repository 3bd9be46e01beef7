#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/weight_slice.hpp"
#include "monitor/blocks.hpp"

namespace weightscope {

/// Elements [offset, offset + count) of one slice: what one thread block of a GPU measures. They are counted
/// in a row of kSlots counters that all tiles of the slice share; a slice too long for 32-bit counters has
/// several rows.
struct Tile {
  std::size_t slice, offset, count, row;
};

/// How the slices of one measurement on a GPU are cut up, and how its results are put together.
struct TilePlan {
  static constexpr std::size_t kTile = 16384;
  explicit TilePlan(std::span<const WeightSlice> slices, std::size_t tile = kTile,
                    std::size_t row = std::size_t{1} << 31);

  std::vector<Tile> tiles;
  std::vector<std::size_t> row_slices;  ///< the slice of each row

  std::size_t rows() const { return row_slices.size(); }
  /// stats: of each tile, merged in order. counters: kSlots of each row. Into one measurement for each slice.
  void combine(std::span<const BlockStats> stats, std::span<const std::uint32_t> counters,
               std::vector<Measurement>& into) const;

 private:
  std::size_t slices_;
};

}  // namespace weightscope

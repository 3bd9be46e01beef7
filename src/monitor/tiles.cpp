#include "monitor/tiles.hpp"

#include <algorithm>

namespace weightscope {

TilePlan::TilePlan(std::span<const WeightSlice> slices, std::size_t tile, std::size_t row)
    : slices_(slices.size()) {
  for (std::size_t i = 0; i < slices.size(); ++i)
    for (std::size_t at = 0, end = slices[i].weights.count; at < end; at += tile) {
      if (at % row == 0) row_slices.push_back(i);
      tiles.push_back({i, at, std::min(tile, end - at), row_slices.size() - 1});
    }
}

void TilePlan::combine(std::span<const BlockStats> stats, std::span<const std::uint32_t> counters,
                       std::vector<Measurement>& into) const {
  into.assign(slices_, {});
  for (std::size_t t = 0; t < tiles.size(); ++t)
    merge(into[tiles[t].slice].summary, summary_of(stats[t], tiles[t].count));
  for (std::size_t r = 0; r < rows(); ++r)
    add_counts(into[row_slices[r]].histogram, counters.data() + r * kSlots);
}

}  // namespace weightscope

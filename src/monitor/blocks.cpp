#include "monitor/blocks.hpp"

#include <algorithm>

namespace weightscope {

Summary summary_of(const BlockStats& b, std::size_t elements) {
  Summary s;
  s.count = elements, s.zeros = b.zeros, s.nonfinite = elements - b.finite;
  s.mean = b.mean, s.m2 = b.m2, s.m3 = b.m3, s.m4 = b.m4;
  s.min = b.min, s.max = b.max;
  s.distance2 = b.distance2, s.initial2 = b.initial2;
  return s;
}

void add_counts(Histogram& h, const std::uint32_t* slots) {
  h.overflow +=
      std::uint64_t{slots[kMiddleSlot - kOverflowDistance]} + slots[kMiddleSlot + kOverflowDistance];
  for (std::size_t i = 0; i < h.bins.size(); ++i) h.bins[i] += slots[kFirstBinSlot + i];
}

Pass::Pass(std::span<const WeightSlice> slices) {
  std::size_t block = 0;
  for (std::size_t i = 0; i < slices.size(); ++i)
    for (std::size_t at = 0; at < slices[i].weights.count; at += kChunk) {
      const auto count = std::min(kChunk, slices[i].weights.count - at);
      chunks.push_back({i, at, count, block});
      block += (count + kBlock - 1) / kBlock;
    }
  blocks.resize(block);
  slots.resize(chunks.size() * kSlots);
}

std::vector<Measurement> Pass::combine(std::span<const WeightSlice> slices, int threads) const {
  std::vector<Measurement> result(slices.size());
  std::vector<std::size_t> first(slices.size() + 1, chunks.size());
  for (std::size_t c = chunks.size(); c-- > 0;) first[chunks[c].slice] = c;
  for (std::size_t i = slices.size(); i-- > 0;) first[i] = std::min(first[i], first[i + 1]);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (std::size_t i = 0; i < slices.size(); ++i) {
    for (std::size_t c = first[i]; c < first[i + 1]; ++c) {
      for (std::size_t at = 0; at < chunks[c].count; at += kBlock)
        merge(result[i].summary, summary_of(blocks[chunks[c].first_block + at / kBlock],
                                            std::min(kBlock, chunks[c].count - at)));
      add_counts(result[i].histogram, slots.data() + c * kSlots);
    }
  }
  return result;
}

}  // namespace weightscope

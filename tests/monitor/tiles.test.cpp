// How measurements on a GPU are cut up, and the arithmetic of their kernel, run here lane by lane.
#include "monitor/tiles.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "monitor/close.hpp"
#include "monitor/cuda/tile_stats.hpp"
#include "monitor/measure.hpp"
#include "monitor/weights.hpp"

namespace weightscope {
namespace {

constexpr unsigned kWarps = 8, kLanes = 32;

template <class T>
T over_lanes(std::vector<T> v) {
  for (std::size_t o = kLanes / 2; o > 0; o /= 2)
    for (std::size_t i = 0; i < o; ++i) v[i] += v[i + o];
  return v[0];
}

struct CountHere {
  std::uint32_t* counters;
  void operator()(int counter) const { ++counters[counter]; }
};

/// One warp of tile_stats.cuh.
template <int n>
struct Warp {
  static constexpr unsigned kPiece = n * kLanes;
  const float *x, *initial;
  unsigned count;
  std::vector<PowerSums> lanes{kLanes};

  double center_of(unsigned at) const {
    std::vector<double> sums(kLanes);
    unsigned values = 0;
    for (unsigned lane = 0; lane < kLanes; ++lane)
      for (unsigned i = 0; i < n; ++i) {
        const unsigned e = at + element_of(lane, i);
        if (e < count && is_finite(x[e])) sums[lane] += static_cast<double>(x[e]), ++values;
      }
    return values == 0 ? 0 : over_lanes(sums) / values;
  }

  void take(unsigned at, double center, CountHere counter) {
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      float here[n], total = at + kPiece <= count ? 0.0F : HUGE_VALF;
      for (unsigned i = 0; i < n; ++i) {
        const unsigned e = at + element_of(lane, i);
        here[i] = e < count ? x[e] : HUGE_VALF, total += here[i];
        if (initial != nullptr && is_finite(here[i])) add_distance(lanes[lane], here[i], initial[e]);
      }
      if (is_finite(total))
        add_finite(lanes[lane], here, center, counter);
      else
        for (const float v : here) add_any(lanes[lane], v, center, counter);
    }
  }

  PowerSums total() const {
    PowerSums sum;
    for (auto member : {&PowerSums::s1, &PowerSums::s2, &PowerSums::s3, &PowerSums::s4, &PowerSums::distance2,
                        &PowerSums::initial2}) {
      std::vector<double> values;
      for (const auto& lane : lanes) values.push_back(lane.*member);
      sum.*member = over_lanes(values);
    }
    for (const auto& lane : lanes) {
      sum.low = std::fmin(sum.low, lane.low), sum.high = std::fmax(sum.high, lane.high);
      sum.finite += lane.finite, sum.zeros += lane.zeros;
    }
    return sum;
  }
};

template <int n>
BlockStats tile_stats(const float* x, const float* initial, unsigned count, std::uint32_t* slots) {
  std::vector<std::uint32_t> counters(kCounters);
  std::vector<BlockStats> parts;
  for (unsigned w = 0; w < kWarps; ++w) {
    Warp<n> warp{x, initial, count};
    const double center = warp.center_of(w * warp.kPiece);
    for (unsigned at = w * warp.kPiece; at < count; at += kWarps * warp.kPiece)
      warp.take(at, center, {counters.data()});
    parts.push_back(stats_of(warp.total(), center));
  }
  for (std::size_t o = 1; o < kWarps; o *= 2)
    for (std::size_t i = 0; i + o < kWarps; i += 2 * o) merge_stats(parts[i], parts[i + o]);
  for (int i = 0; i < kCounters; ++i)
    if (counters[static_cast<std::size_t>(i)] > 0)
      slots[slot_of_counter(i)] += counters[static_cast<std::size_t>(i)];
  return parts[0];
}

template <int n>
std::vector<Measurement> measure_in_tiles(const std::vector<WeightSlice>& slices, const TilePlan& plan) {
  std::vector<BlockStats> stats;
  std::vector<std::uint32_t> counters(plan.rows() * kSlots);
  for (const auto& t : plan.tiles) {
    const auto& slice = slices[t.slice];
    stats.push_back(tile_stats<n>(static_cast<const float*>(slice.weights.data) + t.offset,
                                  slice.initial == nullptr ? nullptr : slice.initial + t.offset,
                                  static_cast<unsigned>(t.count), counters.data() + t.row * kSlots));
  }
  std::vector<Measurement> result;
  plan.combine(stats, counters, result);
  return result;
}

TEST(Tiles, CoverEverySliceOnceAndInOrder) {
  std::vector<float> w(100003);
  std::vector<WeightSlice> slices;
  for (const std::size_t n : {100003u, 0u, 1u, 4096u, 8192u})
    slices.push_back(slice_of(w)), slices.back().weights.count = n;
  const TilePlan plan(slices, 4096, 8192);
  std::vector<std::size_t> next(slices.size());
  for (const auto& t : plan.tiles) {
    EXPECT_EQ(t.offset, next[t.slice]);
    EXPECT_EQ(plan.row_slices[t.row], t.slice);
    if (t.offset % 8192 != 0) {
      EXPECT_EQ(t.row, (&t - 1)->row);
    }
    next[t.slice] += t.count;
  }
  for (std::size_t i = 0; i < slices.size(); ++i) EXPECT_EQ(next[i], slices[i].weights.count);
  EXPECT_EQ(plan.rows(), 13u + 0 + 1 + 1 + 1);
}

TEST(Tiles, CountersLeadToTheSlotOfTheirValues) {
  for (std::uint32_t high = 0; high < 0x10000; ++high) {
    const float x = std::bit_cast<float>(high << 16 | 0x1234);
    if (is_finite(x)) {
      EXPECT_EQ(slot_of_counter(counter_of(x)), slot_of(high << 16 | 0x1234)) << high;
    }
  }
  EXPECT_EQ(slot_of_counter(kCounterHalf - 1), -1);
}

TEST(Tiles, LanesShareAPieceWithoutGapOrOverlap) {
  for (const unsigned n : {4u, 16u, 32u}) {
    std::vector<int> seen(n * kLanes);
    for (unsigned lane = 0; lane < kLanes; ++lane)
      for (unsigned i = 0; i < n; ++i) ++seen.at(element_of(lane, i));
    EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), 0), static_cast<int>(seen.size()));
    EXPECT_EQ(*std::max_element(seen.begin(), seen.end()), 1);
  }
}

TEST(Tiles, CountWhatTheCpuCountsAndSumWhatItSums) {
  const AwkwardWeights weights;
  const auto cpu = measure(weights.slices);
  for (const std::size_t tile : {1024u, 4096u, 16384u, 65536u}) {
    const TilePlan plan(weights.slices, tile, 65536);
    const auto wide = measure_in_tiles<32>(weights.slices, plan),
               narrow = measure_in_tiles<16>(weights.slices, plan);
    for (std::size_t i = 0; i < cpu.size(); ++i) {
      expect_equal(wide[i], cpu[i], weights.slices[i].parameter + " in tiles of " + std::to_string(tile));
      expect_equal(narrow[i], cpu[i], weights.slices[i].parameter + ", narrow");
    }
  }
}

TEST(Tiles, LoseNothingFarFromZeroOrBetweenPartsThatDiffer) {
  auto far = normal_weights(50000, "far", 1e-3, 100), constant = std::vector<float>(20000, 0.1F),
       huge = normal_weights(20000, "huge", 1e37), halves = normal_weights(40000, "halves", 1e-2, -3);
  for (std::size_t i = 0; i < 1024; ++i) halves[i] = 5;
  for (std::size_t i = 0; i < 20000; ++i) huge[i] = std::abs(huge[i]) + 3e37F;  // sums of 32 overflow a float
  std::vector slices{slice_of(far, "far"), slice_of(constant, "constant"), slice_of(huge, "huge"),
                     slice_of(halves, "halves")};
  const auto cpu = measure(slices), tiles = measure_in_tiles<32>(slices, TilePlan(slices));
  for (std::size_t i = 0; i < cpu.size(); ++i) expect_equal(tiles[i], cpu[i], slices[i].parameter);
}

}  // namespace
}  // namespace weightscope

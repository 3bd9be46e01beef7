#include "monitor/bins.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "monitor/measure.hpp"
#include "monitor/weights.hpp"

namespace weightscope {
namespace {

/// By comparison with the edges alone; -1: overflow, -2: non-finite.
int bin_by_search(float x) {
  if (!std::isfinite(x)) return -2;
  if (std::abs(x) >= 16.0f) return -1;
  const double magnitude = std::abs(static_cast<double>(x));
  int above = Histogram::kSide + 1;  // the edge above the middle
  if (magnitude < bin_edge(above)) return Histogram::kSide;
  while (bin_edge(above + 1) <= magnitude) ++above;
  return x > 0 ? above : Histogram::kBins - 1 - above;
}

int bin_of_slot(int slot) {
  if (slot == 0 || slot == kSlots - 1) return -2;
  if (slot == 1 || slot == kSlots - 2) return -1;
  return slot - kFirstBinSlot;
}

}  // namespace

TEST(BinEdges, RiseFromMinus16To16AroundTheMiddle) {
  EXPECT_EQ(bin_edge(0), -16);
  EXPECT_EQ(bin_edge(Histogram::kBins), 16);
  EXPECT_EQ(bin_edge(224), -0x1p-24);
  EXPECT_EQ(bin_edge(225), 0x1p-24);
  EXPECT_EQ(bin_edge(226), 0x1p-24 * 1.125);
  for (int i = 0; i < Histogram::kBins; ++i) EXPECT_LT(bin_edge(i), bin_edge(i + 1)) << i;
}

TEST(SlotOf, AgreesWithTheEdgesForEveryExponentAndTopMantissaBits) {
  // All 2^16 upper halves of a float (sign, exponent, top 7 mantissa bits), lower half at both ends.
  for (std::uint32_t high = 0; high < 0x10000; ++high)
    for (const std::uint32_t low : {0u, 1u, 0xffffu}) {
      const std::uint32_t bits = high << 16 | low;
      ASSERT_EQ(bin_of_slot(slot_of(bits)), bin_by_search(std::bit_cast<float>(bits))) << std::hex << bits;
    }
}

TEST(Measure, CountsEveryExponentAndTopMantissaBitsWhereSlotOfAndTheReferenceDo) {
  std::vector<float> w;
  for (std::uint32_t high = 0; high < 0x10000; ++high)
    for (const std::uint32_t low : {0u, 0xffffu}) w.push_back(std::bit_cast<float>(high << 16 | low));
  std::vector<WeightSlice> slices{slice_of(w)};
  const auto measured = measure(slices).front(), reference = measure_reference(slices.front());
  std::array<std::uint64_t, Histogram::kBins> by_slot{};
  for (const float x : w)
    if (const int bin = bin_of_slot(slot_of(std::bit_cast<std::uint32_t>(x))); bin >= 0)
      ++by_slot[static_cast<std::size_t>(bin)];
  EXPECT_EQ(measured.histogram.bins, reference.histogram.bins);
  EXPECT_EQ(measured.histogram.bins, by_slot);
  EXPECT_EQ(measured.histogram.overflow, reference.histogram.overflow);
  EXPECT_EQ(measured.summary.nonfinite, reference.summary.nonfinite);
  EXPECT_EQ(measured.summary.zeros, 2u);
}

TEST(Measure, PutsSpecialValuesWhereTheContractSays) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN(),
              denormal = std::numeric_limits<float>::denorm_min();
  const auto bin_of_one = [](float x) {
    std::vector<float> w{x};
    const std::vector<WeightSlice> slices{slice_of(w)};
    const auto m = measure(slices).front();
    for (int i = 0; i < Histogram::kBins; ++i)
      if (m.histogram.bins[static_cast<std::size_t>(i)] == 1) return i;
    return m.histogram.overflow == 1 ? -1 : m.summary.nonfinite == 1 ? -2 : -3;
  };
  for (const float x : {0.0f, -0.0f, denormal, -denormal, std::nextafter(0x1p-24f, 0.0f)})
    EXPECT_EQ(bin_of_one(x), 224) << x;
  EXPECT_EQ(bin_of_one(0x1p-24f), 225);
  EXPECT_EQ(bin_of_one(-0x1p-24f), 223);
  EXPECT_EQ(bin_of_one(1.0f), 225 + 24 * 8);
  EXPECT_EQ(bin_of_one(-1.0f), 223 - 24 * 8);
  EXPECT_EQ(bin_of_one(std::nextafter(16.0f, 0.0f)), 448);
  EXPECT_EQ(bin_of_one(std::nextafter(-16.0f, 0.0f)), 0);
  for (const float x : {16.0f, -16.0f, 3e38f, -3e38f}) EXPECT_EQ(bin_of_one(x), -1) << x;
  for (const float x : {inf, -inf, nan, -nan}) EXPECT_EQ(bin_of_one(x), -2) << x;
}

}  // namespace weightscope

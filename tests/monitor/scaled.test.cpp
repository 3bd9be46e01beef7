#include "monitor/scaled.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.hpp"
#include "monitor/measure.hpp"
#include "monitor/weights.hpp"

namespace weightscope {
namespace {

Measurement scaled(std::vector<float> x, int threads = 1) {
  return measure_scaled(std::vector{slice_of(x)}, threads).front();
}

std::uint64_t total(const Histogram& h) { return std::accumulate(h.bins.begin(), h.bins.end(), h.overflow); }

}  // namespace

TEST(ExponentFor, BringsTheLargestIntoTheLastOctaveOfTheBins) {
  EXPECT_EQ(exponent_for(1), 3);
  EXPECT_EQ(exponent_for(16), -1);
  EXPECT_EQ(exponent_for(std::nextafter(16.0F, 0.0F)), 0);
  EXPECT_EQ(exponent_for(std::numeric_limits<float>::max()), -124);
  EXPECT_EQ(exponent_for(std::numeric_limits<float>::denorm_min()), 152);
  EXPECT_EQ(exponent_for(0), 152);
}

TEST(MeasureScaled, SeesTheShapeOfWhatLiesBelowTheBins) {
  const auto tiny = normal_weights(50000, "gradient", 1e-9);
  auto copy = tiny;
  const auto plain = measure(std::vector{slice_of(copy)}).front();
  EXPECT_EQ(plain.histogram.bins[Histogram::kSide], 50000U) << "all in the middle bin";
  const auto found = scaled(tiny);
  EXPECT_EQ(total(found.histogram), 50000U);
  EXPECT_EQ(found.histogram.overflow, 0U);
  EXPECT_EQ(found.histogram.bins[Histogram::kSide], found.summary.zeros) << "27 octaves below the largest";
  double mass = 0, square = 0;
  for (int i = 0; i < Histogram::kBins; ++i) {
    const double middle =
        std::ldexp((bin_edge(i) + bin_edge(i + 1)) / 2, -static_cast<int>(found.histogram.exponent));
    mass += static_cast<double>(found.histogram.bins[static_cast<std::size_t>(i)]);
    square += static_cast<double>(found.histogram.bins[static_cast<std::size_t>(i)]) * middle * middle;
  }
  EXPECT_NEAR(std::sqrt(square / mass), 1e-9, 0.02e-9);
}

TEST(MeasureScaled, GivesTheSummaryOfTheValuesAsTheyWere) {
  const auto x = normal_weights(30000, "x", 0.02, 0.003);
  auto copy = x;
  const auto plain = measure(std::vector{slice_of(copy)}).front().summary, found = scaled(x).summary;
  // Powers of two change no digit.
  EXPECT_EQ(found.mean, plain.mean);
  EXPECT_EQ(found.m2, plain.m2);
  EXPECT_EQ(found.m3, plain.m3);
  EXPECT_EQ(found.m4, plain.m4);
  EXPECT_EQ(found.min, plain.min);
  EXPECT_EQ(found.max, plain.max);
  EXPECT_EQ(found.count, plain.count);
}

TEST(MeasureScaled, HistogramAtExponentZeroIsThatOfTheValues) {
  const auto x = normal_weights(30000, "x");
  auto copy = x;
  const auto plain = measure(std::vector{slice_of(copy)}).front().histogram;
  const auto found = scaled(x).histogram;
  EXPECT_GT(found.exponent, 0);
  EXPECT_EQ(at_exponent(found, 0).bins, plain.bins);
  EXPECT_THROW(at_exponent(plain, 1), Error);
}

TEST(MeasureScaled, PartsOfDifferentSizeMergeToTheWhole) {
  auto small = normal_weights(9000, "small", 3e-8), large = normal_weights(9000, "large", 5e-3);
  const std::vector<float> nothing(100);
  auto whole = small;
  whole.insert(whole.end(), nothing.begin(), nothing.end());
  whole.insert(whole.end(), large.begin(), large.end());
  Measurement merged;
  for (const auto& part : {small, nothing, large}) merge(merged, scaled(part));
  const auto found = scaled(whole);
  EXPECT_EQ(merged.histogram.exponent, found.histogram.exponent);
  EXPECT_EQ(merged.histogram.bins, found.histogram.bins);
  EXPECT_EQ(merged.summary.zeros, 100U);
  EXPECT_NEAR(merged.summary.m2, found.summary.m2, 1e-12 * found.summary.m2);
}

TEST(MeasureScaled, GivesTheSameBitsForAnyNumberOfThreads) {
  const auto x = normal_weights(200000, "x", 1e-7);
  const auto one = scaled(x, 1), three = scaled(x, 3);
  EXPECT_EQ(one.histogram.bins, three.histogram.bins);
  EXPECT_EQ(one.summary.m2, three.summary.m2);
  EXPECT_EQ(one.histogram.exponent, three.histogram.exponent);
}

TEST(MeasureScaled, LeavesOutWhatIsNotFinite) {
  auto x = normal_weights(100, "x", 1e-6);
  x[3] = std::numeric_limits<float>::infinity(), x[7] = std::numeric_limits<float>::quiet_NaN();
  const auto found = scaled(x);
  EXPECT_EQ(found.summary.nonfinite, 2U);
  EXPECT_EQ(total(found.histogram), 98U);
  EXPECT_GT(found.histogram.exponent, 15);
}

}  // namespace weightscope

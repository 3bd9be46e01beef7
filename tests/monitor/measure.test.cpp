#include "monitor/measure.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/error.hpp"
#include "monitor/cpu/block_kernel.hpp"
#include "monitor/weights.hpp"

namespace weightscope {
namespace {

bool same_bits(const Measurement& a, const Measurement& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

std::uint64_t accounted(const Measurement& m) {
  std::uint64_t n = m.histogram.overflow + m.summary.nonfinite;
  for (const auto bin : m.histogram.bins) n += bin;
  return n;
}

/// Moments in long double, two passes; independent of everything in monitor.
struct Exact {
  long double mean = 0, m2 = 0, m3 = 0, m4 = 0, absolute3 = 0;
  explicit Exact(const std::vector<float>& w) {
    for (const float x : w) mean += x;
    mean /= static_cast<long double>(w.size());
    for (const float x : w) {
      const long double d = x - mean;
      m2 += d * d, m3 += d * d * d, m4 += d * d * d * d, absolute3 += std::abs(d * d * d);
    }
  }
};

void expect_exact(const Summary& s, const std::vector<float>& w, const std::string& what) {
  const Exact e(w);
  const auto close = [&](double value, long double exact, long double scale, const char* name) {
    EXPECT_LE(std::abs(static_cast<long double>(value) - exact), 1e-12L * scale) << what << ": " << name;
  };
  close(s.mean, e.mean, std::abs(e.mean) + std::sqrt(e.m2 / static_cast<long double>(w.size())), "mean");
  close(s.m2, e.m2, e.m2, "m2");
  close(s.m3, e.m3, e.absolute3, "m3");  // the positive and negative parts of m3 cancel
  close(s.m4, e.m4, e.m4, "m4");
}

std::vector<std::size_t> awkward_sizes() {
  return {0, 1, 2, 15, 16, 17, 31, 100, 4095, 4096, 4097, 65535, 65536, 65537, 70001, 200003};
}

}  // namespace

TEST(Measure, GivesTheMomentsOfATwoPassComputationInLongDouble) {
  for (const std::size_t n : awkward_sizes()) {
    if (n == 0) continue;
    for (const double mean : {0.0, 0.5, -3.0}) {
      auto w = normal_weights(n, "moments", 0.02, mean);
      const std::vector<WeightSlice> slices{slice_of(w)};
      expect_exact(measure(slices).front().summary, w, std::to_string(n) + " around " + std::to_string(mean));
    }
  }
}

TEST(Measure, AgreesWithTheReferenceOnCountsExtremesAndDistance) {
  for (const std::size_t n : awkward_sizes()) {
    auto w = normal_weights(n, "now", 2.0), before = normal_weights(n, "before");
    for (std::size_t i = 0; i < n; i += 5) w[i] = i % 2 == 0 ? 0.0f : -0.0f;
    for (std::size_t i = 3; i < n; i += 11) w[i] *= 10;
    for (std::size_t i = 7; i < n; i += 5003) w[i] = std::numeric_limits<float>::quiet_NaN();
    for (std::size_t i = 8; i < n; i += 7001) w[i] = -std::numeric_limits<float>::infinity();
    auto slice = slice_of(w);
    slice.initial = before.data();
    const auto m = measure(std::vector{slice}).front(), r = measure_reference(slice);
    EXPECT_EQ(m.histogram.bins, r.histogram.bins) << n;
    EXPECT_EQ(m.histogram.overflow, r.histogram.overflow) << n;
    EXPECT_EQ(m.summary.count, n);
    EXPECT_EQ(m.summary.zeros, r.summary.zeros) << n;
    EXPECT_EQ(m.summary.nonfinite, r.summary.nonfinite) << n;
    EXPECT_EQ(m.summary.min, r.summary.min) << n;
    EXPECT_EQ(m.summary.max, r.summary.max) << n;
    EXPECT_NEAR(m.summary.mean, r.summary.mean, 1e-12 * std::abs(r.summary.m2)) << n;
    EXPECT_NEAR(m.summary.m2, r.summary.m2, 1e-12 * r.summary.m2) << n;
    EXPECT_NEAR(m.summary.distance2, r.summary.distance2, 1e-12 * r.summary.distance2) << n;
    EXPECT_NEAR(m.summary.initial2, r.summary.initial2, 1e-12 * r.summary.initial2) << n;
    EXPECT_EQ(accounted(m), n);
  }
}

TEST(Measure, GivesTheSameBitsForAnyNumberOfThreads) {
  MadeUpModel model;
  auto large = normal_weights(300001, "large");
  auto slices = model.slices();
  slices.push_back(slice_of(large));
  const auto one = measure(slices, 1);
  for (const int threads : {2, 3, 4, 7}) {
    const auto many = measure(slices, threads);
    for (std::size_t i = 0; i < one.size(); ++i)
      EXPECT_TRUE(same_bits(one[i], many[i])) << slices[i].parameter << " with " << threads << " threads";
  }
}

TEST(Measure, GivesTheSameBitsWithEveryInstructionSetOfThisMachine) {
  for (std::uint32_t n : {1u, 16u, 23u, 4095u, 4096u}) {
    auto w = normal_weights(n, "isa", 3.0), before = normal_weights(n, "before");
    for (const bool finite : {true, false}) {
      if (!finite) w[n / 2] = std::numeric_limits<float>::infinity();
      const auto kernels = usable_block_kernels();
      std::vector<std::uint32_t> expected(kCounterCopies * kCounterStride), counters = expected;
      BlockStats first{}, stats{};
      kernels.front().run(w.data(), before.data(), n, expected.data(), &first);
      for (const auto& kernel : kernels) {
        std::fill(counters.begin(), counters.end(), 0u);
        kernel.run(w.data(), before.data(), n, counters.data(), &stats);
        EXPECT_EQ(std::memcmp(&first, &stats, sizeof first), 0) << kernel.isa << " " << n << " " << finite;
        EXPECT_EQ(counters, expected) << kernel.isa << " " << n;
      }
    }
  }
}

TEST(Measure, KeepsNonFiniteValuesOutOfEverythingElse) {
  auto w = normal_weights(10000, "clean");
  const Exact clean(w);
  auto dirty = w;
  for (std::size_t i = 0; i <= 10000; i += 100) {
    dirty.insert(
        dirty.begin() + static_cast<std::ptrdiff_t>(i),
        i % 200 == 0 ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity());
  }
  const auto s = measure(std::vector{slice_of(dirty)}).front().summary;
  EXPECT_EQ(s.nonfinite, 101u);
  EXPECT_EQ(s.finite(), 10000u);
  expect_exact(s, w, "without the non-finite values");
  std::vector<float> hopeless(5000, std::numeric_limits<float>::quiet_NaN());
  const auto none = measure(std::vector{slice_of(hopeless)}).front();
  EXPECT_EQ(none.summary.finite(), 0u);
  EXPECT_EQ(none.summary.m2, 0.0);
  EXPECT_EQ(none.summary.min, std::numeric_limits<float>::infinity());
  EXPECT_EQ(accounted(none), 5000u);
}

TEST(Merge, OfPartsInAnyCutGivesTheWholeToRounding) {
  auto w = normal_weights(9000, "parts", 1.0, 0.3);
  for (const std::size_t cut : {1u, 100u, 4500u, 8999u}) {
    std::vector<float> a(w.begin(), w.begin() + static_cast<std::ptrdiff_t>(cut)),
        b(w.begin() + static_cast<std::ptrdiff_t>(cut), w.end());
    Measurement all, empty;
    merge(all, measure(std::vector{slice_of(a)}).front());
    merge(all, empty);
    merge(all, measure(std::vector{slice_of(b)}).front());
    expect_exact(all.summary, w, "cut at " + std::to_string(cut));
    EXPECT_EQ(accounted(all), 9000u);
  }
}

TEST(Measure, RefusesWhatItCannotMeasure) {
  std::vector<float> w(4);
  auto half = slice_of(w), device = slice_of(w), host = slice_of(w);
  half.weights.dtype = DType::bf16;
  device.weights.place = Place::cuda;
  EXPECT_THROW(measure(std::vector{half}), Error);
  EXPECT_THROW(measure(std::vector{host, device}), Error);
}

}  // namespace weightscope

#include "init/distribution.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace weightscope {

std::vector<float> drawn(const Distribution& d, std::int64_t rows, std::int64_t columns, int threads = 2) {
  omp_set_num_threads(threads);
  std::vector<float> values(static_cast<std::size_t>(rows * columns));
  fill(values, rows, columns, d, Philox(42, "h.0.attn.c_attn.weight"));
  return values;
}

double measured_std(const std::vector<float>& x) {
  double mean = 0, m2 = 0;
  for (const float v : x) mean += static_cast<double>(v) / static_cast<double>(x.size());
  for (const float v : x) m2 += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean);
  return std::sqrt(m2 / static_cast<double>(x.size()));
}

const std::vector<Distribution> kFamilies{{Family::normal, 0.02, 2},
                                          {Family::truncated_normal, 0.02, 2},
                                          {Family::truncated_normal, 0.1, 3},
                                          {Family::uniform, 0.3, 2}};

TEST(Fill, HasTheExpectedStandardDeviation) {
  for (const auto& d : kFamilies) {
    const auto x = drawn(d, 500, 400);
    const double expected = d.expected_std(500, 400),
                 error = expected / std::sqrt(2.0 * static_cast<double>(x.size()));
    EXPECT_NEAR(measured_std(x), expected, 4 * error);
    EXPECT_NEAR(std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size()), 0,
                4 * expected / std::sqrt(x.size()));
  }
}

TEST(Fill, TruncatesAndBounds) {
  for (const auto& d : kFamilies) {
    const auto x = drawn(d, 300, 300);
    const double limit = d.family == Family::uniform  ? d.spread
                         : d.family == Family::normal ? 6 * d.spread
                                                      : d.cut * d.spread;
    const auto [low, high] = std::minmax_element(x.begin(), x.end());
    EXPECT_GE(static_cast<double>(*low), -limit * (1 + 1e-7));
    EXPECT_LE(static_cast<double>(*high), limit * (1 + 1e-7));
    EXPECT_GT(static_cast<double>(*high), 0.9 * std::min(limit, 3.5 * d.spread));
  }
}

TEST(Fill, HasTheSameBitsWithAnyNumberOfThreads) {
  auto families = kFamilies;
  families.push_back({Family::orthogonal, 1, 2});
  for (const auto& d : families) {
    const auto one = drawn(d, 60, 40, 1);
    for (const int threads : {2, 3, 7}) EXPECT_EQ(drawn(d, 60, 40, threads), one);
  }
}

TEST(Fill, OrthogonalMatricesAreOrthonormalOnTheirShorterSide) {
  for (const auto& [rows, columns] : {std::pair<std::int64_t, std::int64_t>{48, 96}, {96, 48}, {64, 64}}) {
    const auto w = drawn({Family::orthogonal, 1.5, 2}, rows, columns);
    const bool wide = rows <= columns;
    const auto k = std::min(rows, columns), n = std::max(rows, columns);
    const auto at = [&](std::int64_t vector, std::int64_t i) {
      return static_cast<double>(
          w[static_cast<std::size_t>(wide ? vector * columns + i : i * columns + vector)]);
    };
    for (std::int64_t a = 0; a < k; ++a)
      for (std::int64_t b = 0; b <= a; ++b) {
        double sum = 0;
        for (std::int64_t i = 0; i < n; ++i) sum += at(a, i) * at(b, i);
        EXPECT_NEAR(sum, a == b ? 2.25 : 0, 1e-6);
      }
    EXPECT_NEAR(measured_std(w), Distribution({Family::orthogonal, 1.5, 2}).expected_std(rows, columns),
                0.01);
  }
}

TEST(Cdf, HasTheMomentsThatTheDistributionSaysItHas) {
  for (const auto& d : kFamilies) {
    if (d.family == Family::constant) continue;
    // E[x^k] = ∫ k x^(k−1) (1 − F(x) + (−1)^k F(−x)) dx over x > 0, midpoint rule.
    constexpr int kPoints = 200000;
    const double end = 12 * d.spread, step = end / kPoints;
    double m2 = 0, m4 = 0;
    for (int i = 0; i < kPoints; ++i) {
      const double x = (i + 0.5) * step, beyond = 1 - d.cdf(x) + d.cdf(-x);
      m2 += 2 * x * beyond * step, m4 += 4 * x * x * x * beyond * step;
    }
    EXPECT_NEAR(std::sqrt(m2), d.expected_std(8, 8), 1e-6 * d.spread) << static_cast<int>(d.family);
    EXPECT_NEAR(m4 / (m2 * m2) - 3, d.kurtosis(), 1e-5) << static_cast<int>(d.family);
    EXPECT_DOUBLE_EQ(d.cdf(0), 0.5);
  }
  EXPECT_TRUE(std::isnan(Distribution({Family::orthogonal, 1}).cdf(0)));
}

}  // namespace weightscope

#include "monitor/power_law.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace weightscope {
namespace {

/// Quantiles of a power law above xmin, after a body that follows none.
std::vector<double> made_up(double alpha, double xmin, int tail, int body) {
  std::vector<double> x;
  for (int i = 0; i < body; ++i) x.push_back(xmin * (i + 1) / (body + 1));
  for (int i = 0; i < tail; ++i) x.push_back(xmin * std::pow(1 - (i + 0.5) / tail, -1 / (alpha - 1)));
  std::ranges::sort(x);
  return x;
}

}  // namespace

TEST(PowerLaw, FindsTheExponentAndWhereItBegins) {
  for (const double alpha : {1.7, 2.5, 4.0}) {
    const auto fit = fit_power_law(made_up(alpha, 3, 2000, 300));
    EXPECT_NEAR(fit.alpha, alpha, 0.02 * alpha);
    EXPECT_NEAR(fit.xmin, 3, 0.3);
    EXPECT_LT(fit.ks, 2e-3);
  }
}

TEST(PowerLaw, IsTheFitOfTheDefinitionOnAFewValues) {
  // xmin = 2: alpha = 1 + 3 / (0 + ln 2 + ln 4) = 1 + 1 / ln 2; F = 0, 1 − 2^(−1/ln 2), 1 − 4^(−1/ln 2)
  // against 0, 1/3, 2/3. Every other xmin is farther off.
  const std::vector<double> x{0.01, 2, 4, 8};
  const auto fit = fit_power_law(x);
  const double from_4 = std::abs(1 - std::pow(2, -2 / std::log(2)) - 0.5);
  const double from_2 = std::abs(1 - std::pow(2, -1 / std::log(2)) - 1.0 / 3);
  EXPECT_LT(from_2, from_4);
  EXPECT_DOUBLE_EQ(fit.xmin, 2);
  EXPECT_DOUBLE_EQ(fit.alpha, 1 + 1 / std::log(2));
  EXPECT_DOUBLE_EQ(fit.ks, from_2);
}

TEST(PowerLaw, DoesNotChangeWithTheScale) {
  auto x = made_up(2.2, 1, 200, 50);
  const auto before = fit_power_law(x);
  for (auto& v : x) v *= 1e-6;
  const auto after = fit_power_law(x);
  EXPECT_NEAR(after.alpha, before.alpha, 1e-9);
  EXPECT_NEAR(after.xmin, 1e-6 * before.xmin, 1e-15);
}

TEST(PowerLaw, IsNoneForFewerThanTwoDistinctPositiveValues) {
  for (const std::vector<double>& x : {std::vector<double>{}, {1}, {2, 2, 2}, {0, 0, 3}})
    EXPECT_TRUE(std::isnan(fit_power_law(x).alpha) && std::isnan(fit_power_law(x).ks));
}

}  // namespace weightscope

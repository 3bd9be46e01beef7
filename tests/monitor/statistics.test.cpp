#include "monitor/statistics.hpp"

#include <gtest/gtest.h>

#include <string>

#include "monitor/measure.hpp"
#include "monitor/weights.hpp"

namespace weightscope {
namespace {

double value(const char* name, const Summary& s) {
  for (const auto& row : kStatistics)
    if (row.name == name) return row.of(s);
  ADD_FAILURE() << name;
  return 0;
}

}  // namespace

TEST(Statistics, OfFourKnownNumbersAreThoseComputedByHand) {
  std::vector<float> w{1, 2, 3, 10}, before{0, 0, 3, 4};  // mean 4, deviations −3 −2 −1 6
  auto slice = slice_of(w);
  slice.initial = before.data();
  const auto s = measure(std::vector{slice}).front().summary;
  EXPECT_DOUBLE_EQ(value("mean", s), 4);
  EXPECT_DOUBLE_EQ(value("std", s), std::sqrt(50.0 / 4));
  EXPECT_DOUBLE_EQ(value("skewness", s), (180.0 / 4) / std::pow(12.5, 1.5));
  EXPECT_DOUBLE_EQ(value("kurtosis", s), (1394.0 / 4) / (12.5 * 12.5) - 3);
  EXPECT_EQ(value("min", s), 1);
  EXPECT_EQ(value("max", s), 10);
  EXPECT_DOUBLE_EQ(value("rms", s), std::sqrt(114.0 / 4));
  EXPECT_DOUBLE_EQ(value("displacement", s), std::sqrt((1 + 4 + 0 + 36) / 25.0));
  EXPECT_DOUBLE_EQ(value("cosine", s), (0 + 0 + 9 + 40) / (std::sqrt(114.0) * 5));
}

TEST(Statistics, AreNanWhereTheyAreNotDefined) {
  std::vector<float> constant(20, 1.5f);
  const Summary empty, flat = measure(std::vector{slice_of(constant)}).front().summary;
  for (const auto& row : kStatistics) EXPECT_TRUE(std::isnan(row.of(empty))) << row.name;
  EXPECT_EQ(value("std", flat), 0);
  for (const char* name : {"skewness", "kurtosis", "displacement", "cosine"})
    EXPECT_TRUE(std::isnan(value(name, flat))) << name;
}

TEST(Statistics, OfANormalSampleHaveTheKurtosisOfANormal) {
  auto w = normal_weights(200000, "normal");
  const auto s = measure(std::vector{slice_of(w)}).front().summary;
  EXPECT_NEAR(value("kurtosis", s), 0, 5 * std::sqrt(24.0 / 200000));
  EXPECT_NEAR(value("std", s), 0.02, 5 * 0.02 / std::sqrt(2 * 200000.0));
}

TEST(StatisticsReference, NamesEveryDatasetOfTheTables) {
  const auto text = statistics_reference();
  const auto expect_named = [&](bool recorded, const std::string& dataset) {
    EXPECT_EQ(text.find("`" + dataset + "`") != std::string::npos, recorded) << dataset;
  };
  for (const auto& row : kStatistics) {
    const std::string name(row.name);
    expect_named((row.scopes & kPerComponent) != 0, name);
    expect_named((row.scopes & kPerHead) != 0, "head_" + name);
    expect_named((row.scopes & kPerParameter) != 0, "parameter_" + name);
  }
  for (const auto& row : kCounts) expect_named(true, std::string(row.name));
  for (const auto* name : {"gradient_std", "gradient_norm", "parameter_gradient_rms", "norm_budget_decay"})
    expect_named(true, name);
}

}  // namespace weightscope

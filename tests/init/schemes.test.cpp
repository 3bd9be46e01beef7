#include "init/schemes.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace weightscope {

InitContext context(ParameterKind kind, std::int64_t rows, std::int64_t columns, int layer = 0) {
  return {kind, rows, columns, layer, 12, 768, 0.02};
}

double std_of(InitScheme id, const InitContext& c) {
  return scheme(id).of(c).expected_std(c.rows, c.columns);
}

TEST(Schemes, TableFollowsTheEnumAndNamesAreUnique) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kSchemes.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(kSchemes[i].id), i);
    EXPECT_TRUE(names.insert(kSchemes[i].name()).second) << kSchemes[i].name();
    EXPECT_FALSE(kSchemes[i].formula.empty());
    EXPECT_FALSE(kSchemes[i].source.empty());
  }
}

TEST(Schemes, BiasesAreZeroAndNormWeightsOneEverywhere) {
  for (const auto& row : kSchemes) {
    const auto bias = row.of(context(ParameterKind::bias, 768, 1)),
               norm = row.of(context(ParameterKind::norm_weight, 768, 1));
    EXPECT_TRUE(bias.family == Family::constant && bias.spread == 0) << row.name();
    EXPECT_TRUE(norm.family == Family::constant && norm.spread == 1) << row.name();
  }
}

/// What has no spread is tested as a constant; a test of its distribution could only fail.
TEST(Schemes, AStdOfZeroIsTheConstantZero) {
  for (const auto id : {InitScheme::normal, InitScheme::trunc_normal, InitScheme::gpt2}) {
    auto c = context(ParameterKind::linear, 64, 16);
    c.std = 0;
    const auto found = scheme(id).of(c);
    EXPECT_TRUE(found.family == Family::constant && found.spread == 0);
  }
}

TEST(Schemes, HaveTheValuesOfTheirSources) {
  const auto linear = context(ParameterKind::linear, 2304, 768),
             projection = context(ParameterKind::residual_projection, 768, 3072, 3);
  const auto position = context(ParameterKind::position, 256, 768, -1),
             embedding = context(ParameterKind::embedding, 50257, 768, -1);
  EXPECT_DOUBLE_EQ(std_of(InitScheme::article, linear), 0.02);
  EXPECT_NEAR(std_of(InitScheme::article, position), 0.044194, 1e-6);
  EXPECT_NEAR(std_of(InitScheme::article, embedding), 0.00626, 1e-5);
  EXPECT_DOUBLE_EQ(std_of(InitScheme::gpt2, projection), 0.02 / std::sqrt(24.0));
  EXPECT_DOUBLE_EQ(std_of(InitScheme::xavier_uniform, linear), std::sqrt(2.0 / (2304 + 768)));
  EXPECT_DOUBLE_EQ(std_of(InitScheme::kaiming_normal, projection), std::sqrt(2.0 / 3072));
  EXPECT_DOUBLE_EQ(std_of(InitScheme::lecun_normal, linear), 1 / std::sqrt(768.0));
  EXPECT_DOUBLE_EQ(std_of(InitScheme::small_init, linear), std::sqrt(2.0 / (5 * 768)));
  EXPECT_DOUBLE_EQ(std_of(InitScheme::wang_init, projection), 2 / (12 * std::sqrt(768.0)));
  EXPECT_DOUBLE_EQ(std_of(InitScheme::depth_scaled, projection), std::sqrt(2.0 / (768 + 3072)) / 2);
  EXPECT_EQ(std_of(InitScheme::zero_proj, projection), 0);
  EXPECT_DOUBLE_EQ(std_of(InitScheme::spectral, linear), 1 / std::sqrt(768.0));
  EXPECT_DOUBLE_EQ(std_of(InitScheme::spectral, projection), std::sqrt(768.0 / 3072) / std::sqrt(3072.0));
  EXPECT_NEAR(std_of(InitScheme::trunc_normal, linear), 0.02 * 0.879626, 1e-7);
  EXPECT_NEAR(std_of(InitScheme::mitchell, projection), 0.986578 / std::sqrt(3072.0 * 8), 1e-7);
}

TEST(Schemes, MupIsGpt2AtTheBaseWidthAndScalesHiddenMatricesOnly) {
  // Yang et al. 2022, table 8: variances of hidden matrices go with 1/fan_in, here at four times the base
  // width.
  for (const auto kind : {ParameterKind::linear, ParameterKind::residual_projection, ParameterKind::embedding,
                          ParameterKind::position, ParameterKind::head}) {
    auto c = context(kind, 768, 768, 3);
    EXPECT_EQ(std_of(InitScheme::mup, c), std_of(InitScheme::gpt2, c));
    const bool hidden = kind == ParameterKind::linear || kind == ParameterKind::residual_projection;
    c.base_ratio = 0.25;
    EXPECT_DOUBLE_EQ(std_of(InitScheme::mup, c), std_of(InitScheme::gpt2, c) * (hidden ? 0.5 : 1));
  }
}

TEST(Schemes, OnesThatNeedMoreThanWeightsAreLeftOutWithAReason) {
  EXPECT_FALSE(why_left_out("deepnorm").empty());
  EXPECT_TRUE(why_left_out("mup").empty());
  EXPECT_TRUE(why_left_out("article").empty());
}

}  // namespace weightscope

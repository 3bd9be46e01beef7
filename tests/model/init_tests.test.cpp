#include "model/init_tests.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "core/philox.hpp"
#include "model/gpt_neox.hpp"
#include "monitor/measure.hpp"

namespace weightscope {
namespace {

constexpr std::int64_t kRows = 64, kColumns = 96;

std::vector<float> drawn(const Distribution& from, int seed, std::int64_t rows = kRows) {
  std::vector<float> values(static_cast<std::size_t>(rows * kColumns));
  fill(values, rows, kColumns, from, Philox(static_cast<std::uint64_t>(seed), "init_tests"));
  return values;
}

Measurement measured(std::vector<float>& values) {
  WeightSlice slice;
  slice.weights.data = values.data(), slice.weights.count = values.size();
  return measure(std::vector{slice}).front();
}

InitTests tested(std::vector<float> values, const Distribution& planned, DType stored = DType::f32) {
  return test_against(measured(values), planned, planned.expected_std(kRows, kColumns), stored);
}

float to_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

const Distribution kNormal{Family::normal, 0.02}, kUniform{Family::uniform, 0.03},
    kCut{Family::truncated_normal, 0.02, 2};

}  // namespace

TEST(InitTests, RejectWhatIsRightAsOftenAsTheirLevelSays) {
  constexpr int kSeeds = 1000;
  for (const auto& from : {kNormal, kUniform, kCut}) {
    int std = 0, mean = 0, shape = 0;
    for (int seed = 0; seed < kSeeds; ++seed) {
      const auto p = tested(drawn(from, seed), from);
      std += p.p_std < 0.1 ? 1 : 0, mean += p.p_mean < 0.1 ? 1 : 0, shape += p.p_shape < 0.1 ? 1 : 0;
    }
    // Binomial, 4 standard errors; the shape is tested at bin edges only and may be found less often.
    EXPECT_NEAR(std, kSeeds / 10, 38) << static_cast<int>(from.family);
    EXPECT_NEAR(mean, kSeeds / 10, 38) << static_cast<int>(from.family);
    EXPECT_LE(shape, kSeeds / 10 + 38) << static_cast<int>(from.family);
    EXPECT_GE(shape, kSeeds / 20) << static_cast<int>(from.family);
  }
}

TEST(InitTests, FindAWrongStdMeanOrShape) {
  const auto narrow = Distribution{Family::normal, 0.019};
  EXPECT_LT(tested(drawn(narrow, 1), kNormal).p_std, 1e-6);
  auto shifted = drawn(kNormal, 2);
  for (auto& x : shifted) x += 0.002f;
  EXPECT_LT(tested(shifted, kNormal).p_mean, 1e-6);
  const Distribution flat{Family::uniform, 0.02 * std::sqrt(3.0)};  // the same std
  EXPECT_GT(tested(drawn(flat, 3), kNormal).p_std, 1e-6);
  EXPECT_LT(tested(drawn(flat, 3), kNormal).p_shape, 1e-6);
  EXPECT_LT(tested(drawn(kNormal, 4), flat).p_shape, 1e-6);
}

TEST(InitTests, AllowForTheRoundingOfWhatIsStored) {
  std::vector<float> values(std::size_t{1} << 22);
  fill(values, 2048, 2048, kNormal, Philox(5, "rounded"));
  for (auto& x : values) x = to_bf16(x);
  const auto m = measured(values);
  // Half a unit of bf16 holds 5e-4 of the weights where they are densest, which looks like a distance of one
  // standard error here and would condemn larger tensors.
  EXPECT_GT(test_against(m, kNormal, 0.02, DType::bf16).p_shape, 0.2);
  EXPECT_LT(test_against(m, kNormal, 0.02, DType::f32).p_shape,
            test_against(m, kNormal, 0.02, DType::bf16).p_shape / 2);
}

TEST(InitTests, GiveIntervalsThatHoldTheTruthAsOftenAsTheySay) {
  for (const auto& from : {kNormal, kUniform, kCut}) {
    int held = 0;
    for (int seed = 0; seed < 1000; ++seed) {
      auto values = drawn(from, seed);
      const auto interval = std_interval(measured(values).summary, from);
      const double truth = from.expected_std(kRows, kColumns);
      held += interval.low <= truth && truth <= interval.high ? 1 : 0;
    }
    EXPECT_NEAR(held, 950, 28) << static_cast<int>(from.family);
  }
}

TEST(InitTests, SayNothingAboutConstantsAndTheShapeOfOrthogonalMatrices) {
  EXPECT_TRUE(std::isnan(tested(std::vector<float>(100, 1.0f), {Family::constant, 1}).p_std));
  const Distribution orthogonal{Family::orthogonal, 1};
  const auto p = tested(drawn(orthogonal, 6), orthogonal);
  EXPECT_GT(p.p_std, 0.9) << "the mean square of an orthogonal matrix is exact";
  EXPECT_TRUE(std::isnan(p.p_shape));
}

TEST(Holm, RejectsStepByStepAndStopsAtTheFirstThatMayBeChance) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  // Holm 1979: 0.01 <= 0.05/4, 0.015 <= 0.05/3, 0.03 > 0.05/2; 0.04 is not looked at.
  EXPECT_EQ(holm(std::vector{0.03, 0.01, none, 0.04, 0.015}, 0.05),
            (std::vector{false, true, false, false, true}));
  EXPECT_EQ(holm(std::vector{0.02, 0.02}, 0.05), (std::vector{true, true}));
  EXPECT_EQ(holm(std::vector<double>{}, 0.05), std::vector<bool>{});
}

TEST(GptNeox, HasOtherNamesForTheSameTensors) {
  EXPECT_EQ(gpt_neox_name("wte.weight"), "gpt_neox.embed_in.weight");
  EXPECT_EQ(gpt_neox_name("h.11.attn.c_attn.bias"), "gpt_neox.layers.11.attention.query_key_value.bias");
  EXPECT_EQ(gpt_neox_name("h.0.mlp.c_proj.weight"), "gpt_neox.layers.0.mlp.dense_4h_to_h.weight");
  EXPECT_EQ(gpt_neox_name("ln_f.bias"), "gpt_neox.final_layer_norm.bias");
  EXPECT_EQ(gpt_neox_name("lm_head.weight"), "embed_out.weight");
  EXPECT_EQ(gpt_neox_name("wpe.weight"), "") << "positions are rotary";
}

}  // namespace weightscope

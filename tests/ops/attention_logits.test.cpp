#include <cmath>

#include "ops/support.hpp"

namespace weightscope::ops {
namespace {

class AttentionLogits : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::manual_seed(20261125); }
};

/// By the definitions, one number after the other, in double.
HeadLogits expected(const at::Tensor& qkv, std::int64_t heads, std::int64_t h, double scale) {
  const std::int64_t T = qkv.size(0), C = qkv.size(1) / 3, D = C / heads;
  const auto wide = qkv.to(at::kDouble).contiguous();
  const auto x = wide.accessor<double, 2>();
  HeadLogits all;
  for (std::int64_t i = 0; i < T; ++i) {
    std::vector<double> logits;
    for (std::int64_t j = 0; j <= i; ++j) {
      double dot = 0;
      for (std::int64_t d = 0; d < D; ++d) dot += x[i][h * D + d] * x[j][C + h * D + d];
      logits.push_back(scale * dot / std::sqrt(static_cast<double>(D)));
    }
    double largest = logits.front(), sum = 0;
    for (const double z : logits) largest = std::max(largest, z), all.sum_of_squares += z * z;
    for (const double z : logits) sum += std::exp(z - largest);
    for (const double z : logits) {
      const double p = std::exp(z - largest) / sum;
      if (p > 0) all.entropy -= p * std::log(p);
    }
    all.max = std::max(all.max, largest);
  }
  return all;
}

TEST_P(AttentionLogits, AreThoseOfTheDefinitions) {
  // The last two take several pieces.
  for (const auto [T, H, D] : {std::array<std::int64_t, 3>{1, 1, 4}, {17, 3, 8}, {600, 2, 8}, {900, 1, 16}})
    for (const double scale : {0.1, 1.0, 3.0}) {
      const auto qkv = random_tensor({T, 3 * H * D}, GetParam(), scale);
      const double logit_scale = T == 17 ? 0.25 : 1;
      const auto got = attention_logits(qkv, H, logit_scale);
      ASSERT_EQ(got.size(), static_cast<std::size_t>(H));
      for (std::int64_t h = 0; h < H; ++h) {
        SCOPED_TRACE(testing::Message() << "T" << T << " head " << h << " scale " << scale);
        const auto want = expected(qkv, H, h, logit_scale);
        const auto& head = got[static_cast<std::size_t>(h)];
        const double allowed = GetParam() == at::kDouble ? 1e-12 : 2e-6;
        EXPECT_NEAR(head.max, want.max, allowed * std::abs(want.max));
        EXPECT_NEAR(head.sum_of_squares, want.sum_of_squares, allowed * want.sum_of_squares);
        EXPECT_NEAR(head.entropy, want.entropy, 2 * allowed * static_cast<double>(T));
      }
    }
}

TEST_P(AttentionLogits, DoNotSeeTheFuture) {
  const std::int64_t T = 12, C = 8;
  auto qkv = random_tensor({T, 3 * C}, GetParam());
  qkv.narrow(1, 0, C).fill_(1);            // everybody looks for
  qkv[T - 1].narrow(0, C, C).fill_(1000);  // a key that only the last query sees,
  qkv[T - 1].narrow(0, 0, C).zero_();      // which asks for nothing
  const auto head = attention_logits(qkv, 1).front();
  EXPECT_LT(head.max, 20);
  EXPECT_LT(head.sum_of_squares, 1e4);
}

TEST_P(AttentionLogits, OfEqualScoresHaveTheEntropyOfAMean) {
  const std::int64_t T = 50, C = 8;
  const auto head = attention_logits(at::zeros({T, 3 * C}, GetParam()), 2).back();
  double entropy = 0;
  for (std::int64_t i = 1; i <= T; ++i) entropy += std::log(static_cast<double>(i));
  EXPECT_EQ(head.max, 0);
  EXPECT_EQ(head.sum_of_squares, 0);
  EXPECT_NEAR(head.entropy, entropy, 1e-5);
}

TEST_P(AttentionLogits, ShowANotANumberWhereItIs) {
  auto qkv = random_tensor({9, 3 * 8}, GetParam());
  qkv[4][1] = NAN;  // a query of head 0
  const auto heads = attention_logits(qkv, 2);
  EXPECT_TRUE(std::isnan(heads[0].max) && std::isnan(heads[0].sum_of_squares) &&
              std::isnan(heads[0].entropy));
  EXPECT_TRUE(std::isfinite(heads[1].max) && std::isfinite(heads[1].entropy));
}

INSTANTIATE_TEST_SUITE_P(Types, AttentionLogits, testing::Values(at::kDouble, at::kFloat, at::kBFloat16),
                         [](const auto& each) { return std::string(c10::toString(each.param)); });

}  // namespace
}  // namespace weightscope::ops

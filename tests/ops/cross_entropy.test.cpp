#include "ops/support.hpp"

namespace weightscope::ops {

class CrossEntropy : public BothTypes {};

TEST_P(CrossEntropy, LossAndGradientAgreeWithTheReference) {
  const std::int64_t R = 19, V = 5003, padded = 5120;
  const auto logits = random_tensor({R, padded}, work(), 4);
  const auto targets = at::randint(V, {R}, at::kLong);
  auto z1 = logits.clone(), z2 = logits.clone();
  at::Tensor l1 = at::zeros({1}, at::kDouble), l2 = at::zeros({1}, at::kDouble);
  cross_entropy(z1, targets, V, 1.0 / R, l1);
  reference::cross_entropy(z2, targets, V, 1.0 / R, l2);
  EXPECT_NEAR(l1.item<double>() / l2.item<double>(), 1, 1e-6);
  EXPECT_LT(relative_error(z1, z2), allowed());
  EXPECT_EQ(z1.narrow(1, V, padded - V).abs().max().item<double>(), 0) << "padding must not receive gradient";
}

TEST_P(CrossEntropy, WithoutAScaleLogitsStay) {
  const auto logits = random_tensor({3, 128}, work());
  auto z = logits.clone();
  at::Tensor loss = at::zeros({1}, at::kDouble);
  cross_entropy(z, at::zeros({3}, at::kLong), 100, 0, loss);
  EXPECT_TRUE(at::equal(z, logits));
  EXPECT_GT(loss.item<double>(), 0);
}

TEST_P(CrossEntropy, OneNotANumberIsNotLost) {
  for (const std::int64_t vocab : {37, 128})
    for (std::int64_t i = 0; i < vocab; i += 9)
      for (const double dscale : {0.0, 1.0}) {
        auto logits = at::full({1, vocab}, -200.0, work());
        logits[0][0] = 0;
        logits[0][i] = std::nan("");
        auto sum = at::zeros({1}, at::kDouble);
        cross_entropy(logits, at::zeros({1}, at::kLong), vocab, dscale, sum);
        EXPECT_TRUE(std::isnan(sum.item<double>())) << i << " of " << vocab;
        if (dscale != 0) {
          EXPECT_TRUE(logits.isnan().all().item<bool>()) << i << " of " << vocab;
        }
      }
}

TEST_P(CrossEntropy, ExtremeLogitsStayFinite) {
  auto z = at::zeros({2, 128}, work());
  z.select(0, 0).fill_(-3e4);
  z.index_put_({at::scalar_tensor(0, at::kLong), at::scalar_tensor(5, at::kLong)},
               at::scalar_tensor(3e4, work()));
  at::Tensor loss = at::zeros({1}, at::kDouble);
  cross_entropy(z, at::full({2}, 5, at::kLong), 128, 1, loss);
  EXPECT_TRUE(at::isfinite(z).all().item<bool>());
  EXPECT_NEAR(loss.item<double>(), std::log(128.0), 1e-3);
}

WEIGHTSCOPE_BOTH_TYPES(CrossEntropy);

}  // namespace weightscope::ops

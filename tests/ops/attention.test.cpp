#include "ops/support.hpp"

namespace weightscope::ops {

class AttentionTest : public BothTypes {};

struct Result {
  at::Tensor out, lse, dqkv;
};

template <class Forward, class Backward>
Result run(const at::Tensor& qkv, const at::Tensor& dout, const Attention& a, Forward forward,
           Backward backward) {
  Result r{at::empty_like(dout), at::empty({a.batch, a.heads, qkv.size(0) / a.batch}), at::empty_like(qkv)};
  forward(qkv, r.out, r.lse, a);
  backward(dout, qkv, r.out, r.lse, r.dqkv, a);
  return r;
}

TEST_P(AttentionTest, AgreesWithTheReference) {
  for (const auto [B, T, H, D] : {std::array<std::int64_t, 4>{2, 17, 3, 16},
                                  {1, 128, 2, 64},
                                  {3, 1, 1, 8},
                                  {1, 40, 5, 32},
                                  {1, 300, 1, 20}}) {
    for (const double dropped : {0.0, 0.3}) {
      const auto qkv = random_tensor({B * T, 3 * H * D}, work()),
                 dout = random_tensor({B * T, H * D}, work());
      Attention a{B, H, dropped, {7, {1, 3}}};
      a.scale = T == 17 || T == 300 ? 0.3 : 1;
      const auto fast = run(qkv, dout, a, &attention, &attention_backward),
                 plain = run(qkv, dout, a, &reference::attention, &reference::attention_backward);
      EXPECT_LT(relative_error(fast.out, plain.out), allowed());
      EXPECT_LT(relative_error(fast.lse, plain.lse), 1e-4);
      EXPECT_LT(relative_error(fast.dqkv, plain.dqkv), 4 * allowed());
    }
  }
}

TEST_P(AttentionTest, DoesNotSeeTheFuture) {
  const std::int64_t T = 12, C = 16;
  auto qkv = random_tensor({T, 3 * C}, work());
  at::Tensor before = at::empty({T, C}, work()), after = at::empty({T, C}, work()),
             lse = at::empty({1, 2, T});
  attention(qkv, before, lse, {1, 2});
  qkv.narrow(0, 7, T - 7).add_(3);
  attention(qkv, after, lse, {1, 2});
  EXPECT_TRUE(at::equal(before.narrow(0, 0, 7), after.narrow(0, 0, 7)));
  EXPECT_FALSE(at::equal(before.narrow(0, 7, 5), after.narrow(0, 7, 5)));
}

TEST_P(AttentionTest, ScalesItsLogits) {
  // As if q had been scaled.
  const std::int64_t T = 40, C = 32;
  const auto qkv = random_tensor({T, 3 * C}, work());
  auto scaled = qkv.clone();
  scaled.narrow(1, 0, C).mul_(0.5);
  at::Tensor out = at::empty({T, C}, work()), of_scaled = at::empty({T, C}, work()),
             lse = at::empty({1, 2, T});
  Attention half{1, 2};
  half.scale = 0.5;
  attention(qkv, out, lse, half);
  attention(scaled, of_scaled, lse, {1, 2});
  EXPECT_TRUE(at::equal(out, of_scaled));
}

TEST(AttentionDropout, GradientIsThatOfTheMaskedForwardPass) {
  // Finite differences in double through the same masks.
  at::manual_seed(3);
  const Attention a{1, 2, 0.3, {name_key("dropout.attention.0"), {1, 4}}};
  auto qkv = at::randn({6, 24}, at::kDouble);
  const auto dout = at::randn({6, 8}, at::kDouble);
  at::Tensor out = at::empty({6, 8}, at::kDouble), lse = at::empty({1, 2, 6}, at::kDouble),
             dqkv = at::empty_like(qkv);
  attention(qkv, out, lse, a);
  attention_backward(dout, qkv, out, lse, dqkv, a);
  for (const std::int64_t i : {0, 9, 17, 40, 77, 143}) {
    const double h = 1e-6;
    auto flat = qkv.view({-1});
    double side[2];
    for (const int s : {0, 1}) {
      flat[i] += s == 0 ? h : -2 * h;
      attention(qkv, out, lse, a);
      side[s] = (out * dout).sum().item<double>();
    }
    flat[i] += h;
    EXPECT_NEAR((side[0] - side[1]) / (2 * h), dqkv.view({-1})[i].item<double>(), 1e-7) << i;
  }
}

WEIGHTSCOPE_BOTH_TYPES(AttentionTest);

}  // namespace weightscope::ops

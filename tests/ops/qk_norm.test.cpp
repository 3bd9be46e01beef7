#include "ops/cpu/dispatch.hpp"
#include "ops/support.hpp"

namespace weightscope::ops {

class QkNormTest : public BothTypes {};

struct Sizes {
  std::int64_t R, H, D;
};
// Fewer rows than threads, heads that are no multiple of a vector, a head of two features.
constexpr std::array<Sizes, 4> kSizes{{{1, 1, 2}, {37, 3, 20}, {5, 2, 64}, {9, 5, 33}}};

QkNorm random_norm(std::int64_t D, bool bias) {
  const auto gain = [&] { return random_tensor({D}, at::kFloat, 0.3) + 1; };
  const auto shift = [&] { return bias ? random_tensor({D}, at::kFloat) : at::Tensor(); };
  return {gain(), shift(), gain(), shift()};
}

QkNorm ones(std::int64_t D, bool bias) {
  const auto b = [&] { return bias ? at::ones({D}) : at::Tensor(); };
  return {at::ones({D}), b(), at::ones({D}), b()};
}

TEST_P(QkNormTest, ForwardAgreesWithTheReference) {
  for (const auto& [R, H, D] : kSizes)
    for (const bool bias : {true, false}) {
      const auto norm = random_norm(D, bias);
      const auto before = random_tensor({R, 3 * H * D}, work(), 3);
      at::Tensor x1 = before.clone(), x2 = before.clone(), raw = at::zeros({R, 2 * H * D}, work()), none;
      qk_norm(x1, raw, norm, H);
      reference::qk_norm(x2, none, norm, H);
      EXPECT_LT(relative_error(x1, x2), allowed());
      EXPECT_TRUE(at::equal(raw, before.narrow(1, 0, 2 * H * D)));
      EXPECT_TRUE(at::equal(x1.narrow(1, 2 * H * D, H * D), before.narrow(1, 2 * H * D, H * D)));  // v
    }
}

TEST_P(QkNormTest, EveryHeadIsThatOfLibTorchsLayerNorm) {
  const std::int64_t R = 7, H = 3, D = 24;
  const auto norm = random_norm(D, true);
  auto x = random_tensor({R, 3 * H * D}, work());
  const auto before = x.to(at::kFloat).view({R, 3, H, D}).clone();
  at::Tensor none;
  qk_norm(x, none, norm, H);
  const auto after = x.view({R, 3, H, D});
  EXPECT_LT(relative_error(after.select(1, 0),
                           at::layer_norm(before.select(1, 0), {D}, norm.q_w_D, norm.q_b_D, 1e-5)),
            allowed());
  EXPECT_LT(relative_error(after.select(1, 1),
                           at::layer_norm(before.select(1, 1), {D}, norm.k_w_D, norm.k_b_D, 1e-5)),
            allowed());
}

TEST_P(QkNormTest, BackwardAgreesWithTheReference) {
  for (const auto& [R, H, D] : kSizes)
    for (const auto write : {Write::assign, Write::add})
      for (const bool bias : {true, false}) {
        const auto norm = random_norm(D, bias), g1 = ones(D, bias), g2 = ones(D, bias);
        const auto raw = random_tensor({R, 2 * H * D}, work()), dy = random_tensor({R, 3 * H * D}, work());
        at::Tensor dx1 = dy.clone(), dx2 = dy.clone();
        qk_norm_backward(dx1, raw, norm, g1, H, write);
        reference::qk_norm_backward(dx2, raw, norm, g2, H, write);
        EXPECT_LT(relative_error(dx1, dx2), allowed() + 2e-5);
        EXPECT_TRUE(at::equal(dx1.narrow(1, 2 * H * D, H * D), dy.narrow(1, 2 * H * D, H * D)));  // dv
        EXPECT_LT(relative_error(g1.q_w_D, g2.q_w_D), 2e-5);
        EXPECT_LT(relative_error(g1.k_w_D, g2.k_w_D), 2e-5);
        if (!bias) continue;
        EXPECT_LT(relative_error(g1.q_b_D, g2.q_b_D), 2e-5);
        EXPECT_LT(relative_error(g1.k_b_D, g2.k_b_D), 2e-5);
      }
}

TEST(QkNorm, AllInstructionSetsAgree) {
  const std::int64_t R = 9, H = 2, D = 29;
  const auto norm = random_norm(D, true);
  const auto before = random_tensor({R, 3 * H * D}, at::kFloat);
  at::Tensor first;
  for (const auto* k : cpu::usable_kernels()) {
    SCOPED_TRACE(k->isa);
    auto x = before.clone();
    k->f32.qk_norm(x.data_ptr<float>(), nullptr,
                   {{norm.q_w_D.data_ptr<float>(), norm.k_w_D.data_ptr<float>()},
                    {norm.q_b_D.data_ptr<float>(), norm.k_b_D.data_ptr<float>()}},
                   R, H, D);
    if (first.defined()) {
      EXPECT_LT(relative_error(x, first), 2e-6);
    }
    first = x;
  }
}

WEIGHTSCOPE_BOTH_TYPES(QkNormTest);

}  // namespace weightscope::ops

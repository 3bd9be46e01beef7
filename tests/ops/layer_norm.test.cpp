#include "ops/support.hpp"

namespace weightscope::ops {

class LayerNorm : public BothTypes {};

// Odd sizes on purpose: no multiple of a vector, fewer rows than threads.
constexpr std::array<std::array<std::int64_t, 2>, 3> kSizes{{{1, 7}, {37, 192}, {5, 769}}};

TEST_P(LayerNorm, ForwardAgreesWithTheReference) {
  for (const auto& [R, C] : kSizes)
    for (const bool bias : {true, false})
      for (const bool with_branch : {true, false}) {
        const auto residual = random_tensor({R, C}, at::kFloat), w = random_tensor({C}, at::kFloat);
        const auto b = bias ? random_tensor({C}, at::kFloat) : at::Tensor(),
                   branch = with_branch ? random_tensor({R, C}, work()) : at::Tensor();
        at::Tensor s1 = at::zeros({R, C}), s2 = at::zeros({R, C}), y1 = at::empty({R, C}, work()),
                   y2 = at::empty({R, C}, work());
        at::Tensor m1 = at::empty({R}), m2 = at::empty({R}), r1 = at::empty({R}), r2 = at::empty({R});
        residual_layer_norm(residual, branch, s1, w, b, y1, m1, r1);
        reference::residual_layer_norm(residual, branch, s2, w, b, y2, m2, r2);
        EXPECT_TRUE(at::equal(s1, s2));
        EXPECT_LT(relative_error(y1, y2), allowed());
        EXPECT_LT(relative_error(r1, r2), 1e-6);
      }
}

TEST_P(LayerNorm, BackwardAgreesWithTheReference) {
  for (const auto& [R, C] : kSizes)
    for (const auto write : {Write::assign, Write::add})
      for (const bool bias : {true, false}) {
        const auto s = random_tensor({R, C}, at::kFloat), w = random_tensor({C}, at::kFloat),
                   dy = random_tensor({R, C}, work());
        at::Tensor unused = at::empty({R, C}), y = at::empty({R, C}, work()), mean = at::empty({R}),
                   rstd = at::empty({R});
        residual_layer_norm(s, at::Tensor(), unused, w, at::Tensor(), y, mean, rstd);
        at::Tensor ds1 = at::ones({R, C}), ds2 = at::ones({R, C}), work1 = at::empty({R, C}, work()),
                   work2 = at::empty({R, C}, work());
        at::Tensor dw1 = at::ones({C}), dw2 = at::ones({C}), db1 = bias ? at::ones({C}) : at::Tensor(),
                   db2 = bias ? at::ones({C}) : at::Tensor();
        at::Tensor sum1 = bias ? at::ones({C}) : at::Tensor(), sum2 = bias ? at::ones({C}) : at::Tensor();
        layer_norm_backward(dy, s, mean, rstd, w, ds1, write, work1, dw1, db1, sum1, write);
        reference::layer_norm_backward(dy, s, mean, rstd, w, ds2, write, work2, dw2, db2, sum2, write);
        EXPECT_LT(relative_error(ds1, ds2), 2e-5);
        EXPECT_LT(relative_error(work1, work2), allowed() + 2e-5);
        EXPECT_LT(relative_error(dw1, dw2), 2e-5);
        if (bias) {
          EXPECT_LT(relative_error(db1, db2), 2e-5);
          EXPECT_LT(relative_error(sum1, sum2), allowed());
        }
      }
}

WEIGHTSCOPE_BOTH_TYPES(LayerNorm);

}  // namespace weightscope::ops

#include "ops/support.hpp"

namespace weightscope::ops {

class LinearTest : public BothTypes {};

TEST_P(LinearTest, WeightGradientIsWrittenOrAddedInFullPrecision) {
  const std::int64_t R = 64, K = 48, N = 100;
  const auto x = random_tensor({R, K}, work()), dy = random_tensor({R, N}, work());
  const auto exact = at::matmul(dy.to(at::kDouble).t(), x.to(at::kDouble));
  auto scratch = at::empty({30 * K}, work());  // forces several chunks, the last one shorter
  for (const auto write : {Write::assign, Write::add}) {
    at::Tensor dw = at::full({N, K}, 5.0, at::kFloat);
    linear_backward_weight(dy, x, dw, write, scratch);
    EXPECT_LT(relative_error(dw, write == Write::add ? exact + 5 : exact), allowed());
  }
}

TEST_P(LinearTest, ForwardAndInputGradientAreMatrixProducts) {
  const auto x = random_tensor({5, 12}, work()), w = random_tensor({7, 12}, work()),
             b = random_tensor({7}, work());
  at::Tensor y = at::empty({5, 7}, work()), dx = at::empty({5, 12}, work());
  linear(x, w, b, y);
  EXPECT_LT(relative_error(y, at::matmul(x.to(at::kDouble), w.to(at::kDouble).t()) + b.to(at::kDouble)),
            allowed());
  linear_backward_input(y, w, dx);
  EXPECT_LT(relative_error(dx, at::matmul(y.to(at::kDouble), w.to(at::kDouble))), allowed());
}

TEST_P(LinearTest, BiasGradientAgreesWithTheReference) {
  const auto dy = random_tensor({77, 33}, work());
  for (const auto write : {Write::assign, Write::add}) {
    at::Tensor a = at::ones({33}), b = at::ones({33});
    bias_backward(dy, a, write);
    reference::bias_backward(dy, b, write);
    EXPECT_LT(relative_error(a, b), 1e-5);
  }
}

WEIGHTSCOPE_BOTH_TYPES(LinearTest);

}  // namespace weightscope::ops

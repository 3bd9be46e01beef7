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
    linear_backward_weight(dy, x, dw, write, {{}, scratch, {}});
    EXPECT_LT(relative_error(dw, write == Write::add ? exact + 5 : exact), allowed());
  }
}

TEST_P(LinearTest, ForwardAndInputGradientAreMatrixProducts) {
  const auto x = random_tensor({5, 12}, work()), w = random_tensor({7, 12}, work()),
             b = random_tensor({7}, work());
  at::Tensor y = at::empty({5, 7}, work()), dx = at::empty({5, 12}, work());
  linear(x, w, b, y, {});
  EXPECT_LT(relative_error(y, at::matmul(x.to(at::kDouble), w.to(at::kDouble).t()) + b.to(at::kDouble)),
            allowed());
  linear_backward_input(y, w, dx, {});
  EXPECT_LT(relative_error(dx, at::matmul(y.to(at::kDouble), w.to(at::kDouble))), allowed());
}

TEST_P(LinearTest, EveryBackendGivesTheSameProducts) {
  // More rows and columns than one block of the widened backend; a destination that already holds something.
  const std::int64_t R = 700, K = 40, N = 1100;
  const auto x = random_tensor({R, K}, work()), w = random_tensor({N, K}, work()),
             b = random_tensor({N}, work()), dy = random_tensor({R, N}, work());
  const auto wide = [](const at::Tensor& t) { return t.to(at::kDouble); };
  for (const auto backend : {GemmBackend::aten, GemmBackend::torch_onednn, GemmBackend::widened}) {
    if (!available(backend, work())) continue;
    Gemm gemm{{}, at::empty({30 * K}, work()), at::empty({wide_scratch_size(K)})};
    for (const auto product : {Product::forward, Product::input_gradient, Product::weight_gradient})
      gemm.choice.set({product, R, K, N}, backend);
    at::Tensor y = at::full({R, N}, 3, work()), dx = at::full({R, K}, 3, work());
    linear(x, w, b, y, gemm);
    EXPECT_LT(relative_error(y, at::matmul(wide(x), wide(w).t()) + wide(b)), allowed());
    linear(x, w, at::Tensor(), y, gemm);
    EXPECT_LT(relative_error(y, at::matmul(wide(x), wide(w).t())), allowed());
    linear_backward_input(dy, w, dx, gemm);
    EXPECT_LT(relative_error(dx, at::matmul(wide(dy), wide(w))), allowed());
    const auto exact = at::matmul(wide(dy).t(), wide(x));
    for (const auto write : {Write::assign, Write::add}) {
      at::Tensor dw = at::full({N, K}, 5.0, at::kFloat);
      linear_backward_weight(dy, x, dw, write, gemm);
      EXPECT_LT(relative_error(dw, write == Write::add ? exact + 5 : exact), allowed());
    }
  }
}

TEST(GemmChoice, SurvivesItsText) {
  GemmChoice choice;
  choice.set({Product::forward, 4096, 384, 1536}, GemmBackend::torch_onednn);
  choice.set({Product::weight_gradient, 1, 2, 3}, GemmBackend::widened);
  EXPECT_EQ(GemmChoice::parse("# a comment\n" + choice.text() + "backward 1 2\n").all(), choice.all());
  EXPECT_EQ(choice.of({Product::forward, 1, 1, 1}), GemmBackend::aten);
  EXPECT_EQ(GemmChoice(GemmBackend::widened).of({Product::forward, 1, 1, 1}), GemmBackend::widened);
  EXPECT_EQ(untuned(at::kFloat).of({Product::forward, 1, 1, 1}), GemmBackend::aten);
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

#include "ops/support.hpp"

namespace weightscope::ops {

class GeluTest : public BothTypes {};

TEST_P(GeluTest, ValuesAgreeWithTheReferenceOverTheWholeRange) {
  for (const auto kind : {Gelu::tanh, Gelu::erf}) {
    const auto x = at::linspace(-12, 12, 4801).view({1, -1}).to(work());
    at::Tensor y1 = at::empty_like(x), y2 = at::empty_like(x);
    gelu(x, y1, kind);
    reference::gelu(x, y2, kind);
    EXPECT_LT((y1 - y2).abs().max().item<double>(), work() == at::kFloat ? 1e-6 : 0.05);
    EXPECT_LT(relative_error(y1, y2), allowed());
  }
}

TEST_P(GeluTest, GradientAgreesWithTheReference) {
  for (const auto kind : {Gelu::tanh, Gelu::erf})
    for (const auto write : {Write::assign, Write::add}) {
      const auto x = random_tensor({33, 65}, work(), 3), dy = random_tensor({33, 65}, work());
      at::Tensor d1 = dy.clone(), d2 = dy.clone(), b1 = at::ones({65}), b2 = at::ones({65});
      gelu_backward(x, d1, b1, kind, write);
      reference::gelu_backward(x, d2, b2, kind, write);
      EXPECT_LT(relative_error(d1, d2), allowed());
      EXPECT_LT(relative_error(b1, b2), allowed());
    }
}

WEIGHTSCOPE_BOTH_TYPES(GeluTest);

}  // namespace weightscope::ops

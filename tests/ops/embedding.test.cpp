#include "ops/support.hpp"

namespace weightscope::ops {

TEST(Embedding, ForwardAndBackwardAgreeWithTheReference) {
  at::manual_seed(1);
  const std::int64_t B = 3, T = 5, C = 130, V = 11, positions = 8;
  const auto tokens = at::randint(V, {B * T}, at::kLong);
  const auto wte = at::randn({V, C}), wpe = at::randn({positions, C}), dx = at::randn({B * T, C});
  at::Tensor x1 = at::empty({B * T, C}), x2 = at::empty({B * T, C});
  embedding(tokens, wte, wpe, T, x1);
  reference::embedding(tokens, wte, wpe, T, x2);
  EXPECT_TRUE(at::equal(x1, x2));
  for (const auto write : {Write::assign, Write::add}) {
    at::Tensor e1 = at::ones({V, C}), e2 = at::ones({V, C}), p1 = at::ones({positions, C}),
               p2 = at::ones({positions, C});
    embedding_backward(dx, tokens, T, e1, p1, write);
    reference::embedding_backward(dx, tokens, T, e2, p2, write);
    EXPECT_LT(relative_error(e1, e2), 1e-6);
    EXPECT_LT(relative_error(p1, p2), 1e-6);
  }
}

TEST(Embedding, BackwardHasTheSameBitsWithAnyNumberOfThreads) {
  const auto tokens = at::randint(7, {64}, at::kLong);
  const auto dx = at::randn({64, 200});
  at::Tensor first_wte, first_wpe;
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    at::Tensor wte = at::zeros({7, 200}), wpe = at::zeros({16, 200});
    embedding_backward(dx, tokens, 16, wte, wpe, Write::assign);
    if (first_wte.defined()) {
      EXPECT_TRUE(at::equal(first_wte, wte));
      EXPECT_TRUE(at::equal(first_wpe, wpe));
    }
    first_wte = wte, first_wpe = wpe;
  }
}

}  // namespace weightscope::ops

#include "ops/support.hpp"

namespace weightscope::ops {

struct State {
  at::Tensor w, g, m, v, copy;
  State clone() const {
    return {w.clone(), g.clone(), m.clone(), v.clone(), copy.defined() ? copy.clone() : copy};
  }
};

State random_state(std::int64_t n, bool mixed) {
  at::manual_seed(4);
  State s{at::randn({n}), at::randn({n}), at::randn({n}) * 0.1, at::rand({n}) * 0.1, {}};
  if (mixed) s.copy = at::empty({n}, at::kBFloat16);
  return s;
}

TEST(AdamWTest, AgreesWithTheReferenceOverSeveralSteps) {
  for (const bool mixed : {false, true}) {
    auto a = random_state(10007, mixed), b = a.clone();
    for (std::int64_t step = 1; step <= 5; ++step) {
      const AdamW h{1e-3, 0.9, 0.95, 1e-8, 0.1, 0.5, step, mixed ? 0.25 : 1};
      at::Tensor moved_a = at::zeros({1}, at::kDouble), moved_b = at::zeros({1}, at::kDouble);
      adamw(a.w, a.g, a.m, a.v, a.copy, h, moved_a);
      reference::adamw(b.w, b.g, b.m, b.v, b.copy, h, moved_b);
      EXPECT_NEAR(moved_a.item<double>() / moved_b.item<double>(), 1, 1e-3);
    }
    EXPECT_LT((a.w - b.w).abs().max().item<double>(), 2e-6);
    EXPECT_LT(relative_error(a.m, b.m), 1e-6);
    EXPECT_LT(relative_error(a.v, b.v), 1e-6);
    if (mixed) {
      EXPECT_TRUE(at::equal(a.copy, a.w.to(at::kBFloat16)));
    }
  }
}

TEST(AdamWTest, ScaledStepsDecayLikeWholeOnes) {
  auto whole = random_state(1000, false), quarter = whole.clone();
  const auto start = whole.w.clone();
  AdamW h{1e-2, 0.9, 0.95, 1e-8, 0.5, 1, 1};
  adamw(whole.w, whole.g, whole.m, whole.v, whole.copy, h, at::Tensor());
  h.step_scale = 0.25;
  adamw(quarter.w, quarter.g, quarter.m, quarter.v, quarter.copy, h, at::Tensor());
  const auto decayed = start * (1 - 1e-2 * 0.5);
  EXPECT_LT(((quarter.w - decayed) * 4 - (whole.w - decayed)).abs().max().item<double>(), 4e-6);
  EXPECT_TRUE(at::equal(whole.m, quarter.m));
}

TEST(AdamWTest, MeasuringTheMovementChangesNoBit) {
  for (const bool mixed : {false, true}) {
    auto a = random_state(5003, mixed), b = a.clone();
    const AdamW h{1e-3, 0.9, 0.95, 1e-8, 0.1, 1, 3};
    at::Tensor moved = at::zeros({1}, at::kDouble);
    adamw(a.w, a.g, a.m, a.v, a.copy, h, moved);
    adamw(b.w, b.g, b.m, b.v, b.copy, h, at::Tensor());
    EXPECT_TRUE(at::equal(a.w, b.w));
  }
}

TEST(SumOfSquares, HasTheSameBitsWithAnyNumberOfThreads) {
  const auto x = at::randn({100003});
  at::set_num_threads(1);
  const double one = sum_of_squares(x).item<double>();
  EXPECT_NEAR(one / reference::sum_of_squares(x).item<double>(), 1, 1e-12);
  for (const int threads : {2, 3, 5}) {
    at::set_num_threads(threads);
    EXPECT_EQ(sum_of_squares(x).item<double>(), one);
  }
}

}  // namespace weightscope::ops

#include "ops/cpu/dispatch.hpp"
#include "ops/support.hpp"

namespace weightscope::ops {

class Dropout : public BothTypes {};

TEST_P(Dropout, MaskIsThatOfTheReference) {
  const Masks masks{name_key("place"), {5, 12}};
  auto x1 = random_tensor({9, 31}, work()), x2 = x1.clone();
  dropout(x1, 0.3, masks, 3);
  reference::dropout(x2, 0.3, masks, 3);
  EXPECT_TRUE(at::equal(x1 == 0, x2 == 0));
  EXPECT_LT(relative_error(x1, x2), allowed());
}

TEST(DropoutKernels, OfEveryInstructionSetDropTheSame) {
  for (const std::int64_t first : {std::int64_t{0}, (std::int64_t{1} << 33) + 7})
    for (const std::int64_t C : {1, 3, 8, 31, 32, 33, 203}) {
      const Masks masks{name_key("place"), {5, first}};
      const auto x = random_tensor({5, C}, at::kFloat);
      auto expected = x.clone();
      reference::dropout(expected, 0.3, masks, 1);
      for (const auto* k : cpu::usable_kernels()) {
        SCOPED_TRACE(k->isa);
        const auto fence = at::full({5 * C + 64}, 9.0F), mine = fence.narrow(0, 0, 5 * C);
        mine.copy_(x.view({-1}));
        k->f32.dropout(mine.data_ptr<float>(), drop_of(0.3, masks, 1), 5, C);
        EXPECT_TRUE(at::equal(mine == 0, expected.view({-1}) == 0));
        EXPECT_LT(relative_error(mine, expected.view({-1})), 1e-6);
        EXPECT_TRUE((fence.narrow(0, 5 * C, 64) == 9).all().item<bool>());
      }
    }
}

TEST_P(Dropout, MasksFollowSamplesNotCalls) {
  const std::uint64_t place = name_key("place");
  auto whole = at::ones({8, 40}, work()), upper = at::ones({3, 40}, work()),
       lower = at::ones({5, 40}, work());
  dropout(whole, 0.5, {place, {5, 0}}, 1);
  dropout(upper, 0.5, {place, {5, 0}}, 1);
  dropout(lower, 0.5, {place, {5, 1}}, 3);  // three rows to a sample
  EXPECT_TRUE(at::equal(whole, at::cat({upper, lower})));
}

TEST_P(Dropout, KeepsTheMeanAndDropsTheAskedShare) {
  auto x = at::ones({1000, 100}, work());
  dropout(x, 0.2, {name_key("a"), {1, 0}}, 1);
  EXPECT_NEAR((x == 0).to(at::kFloat).mean().item<double>(), 0.2, 4 * std::sqrt(0.16 / 1e5));
  EXPECT_NEAR(x.to(at::kFloat).mean().item<double>(), 1.0, 0.01);
}

WEIGHTSCOPE_BOTH_TYPES(Dropout);

}  // namespace weightscope::ops

#include "model/pair.hpp"

namespace weightscope {

class Gradients : public testing::TestWithParam<Case> {};

TEST_P(Gradients, EqualAutogradInDouble) { expect_agreement(GetParam(), {at::kDouble, at::kDouble}, 1e-10); }
TEST_P(Gradients, EqualAutogradInFloat) { expect_agreement(GetParam(), {at::kFloat, at::kFloat}, 1e-5); }
// bf16: 8 bits of significand, some 20 roundings deep.
TEST_P(Gradients, EqualAutogradInBfloat16) {
  expect_agreement(GetParam(), {at::kBFloat16, at::kFloat}, 0.06);
}

INSTANTIATE_TEST_SUITE_P(Models, Gradients, testing::ValuesIn(cases()),
                         [](const auto& each) { return each.param.name; });

TEST(Gpt, LogitsEqualTheTwin) {
  Pair pair(cases()[1], {at::kDouble, at::kDouble});
  pair.gpt.forward(pair.batch);
  EXPECT_LT((pair.gpt.logits() - pair.twin.logits(pair.batch)).abs().max().item<double>(), 1e-12);
}

TEST(Gpt, PaddingRowsOfTheVocabularyStayZero) {
  Pair pair(cases()[0], {at::kFloat, at::kFloat});
  pair.run_ours(0.1, ops::Write::assign);
  const auto padded = ParamStore::padded_view(pair.store.grad(), pair.store.find("wte.weight"));
  EXPECT_EQ(padded.size(0), 128);
  EXPECT_EQ(padded.narrow(0, 37, 91).abs().max().item<double>(), 0);
}

TEST(Gpt, FinishedGradientsAreAPrefixOfTheFlatBuffer) {
  Pair pair(cases()[1], {at::kDouble, at::kDouble});
  pair.run_ours(0.1, ops::Write::assign);
  const auto whole = pair.store.grad().clone();
  pair.gpt.forward(pair.batch);
  const auto expect_prefix = [&](int layer) {
    const auto end = pair.gpt.final_offset(layer);
    EXPECT_TRUE(at::equal(pair.store.grad().narrow(0, 0, end), whole.narrow(0, 0, end))) << layer;
  };
  at::Tensor(pair.store.grad()).fill_(0);
  const int L = pair.gpt.config().layers;
  pair.gpt.backward_head(pair.batch, 0.1, ops::Write::assign);
  expect_prefix(L);
  for (int l = L - 1; l >= 0; --l) {
    pair.gpt.backward_block(l, pair.batch, ops::Write::assign);
    expect_prefix(l);
  }
  pair.gpt.backward_embedding(pair.batch, ops::Write::assign);
  expect_prefix(-1);
  EXPECT_GT(pair.gpt.final_offset(L), 0);
}

}  // namespace weightscope

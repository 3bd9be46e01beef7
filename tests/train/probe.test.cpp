// A probe against the autograd twin, on any number of ranks.
#include "train/probe.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "data/support.hpp"
#include "model/twin.hpp"

namespace weightscope {
namespace {

ModelConfig small_model(bool qk_norm) {
  ModelConfig m;
  m.layers = 3, m.heads = 2, m.width = 16, m.block = 9, m.vocab = 37, m.qk_norm = qk_norm, m.dropout = 0.2;
  return m;
}

/// The model with random weights, and tokens 0, 1, 2, … modulo the vocabulary.
struct Subject {
  explicit Subject(bool qk_norm, Types types = {at::kFloat, at::kFloat}, bool recompute = false)
      : model(small_model(qk_norm)),
        store(model, types, {}, 1),
        gpt(model, store, 2 * model.block, Purpose::training, recompute),
        file(TokenFile::open(counting_file(scratch, 100, model.vocab))) {
    torch::NoGradGuard no_grad;
    torch::manual_seed(11);
    for (const auto& p : store.parameters()) {
      auto values = torch::randn(p.shape, torch::kDouble) * 0.3;
      if (p.kind == ParameterKind::norm_weight) values = values + 1;
      ParamStore::view(store.master(), p).copy_(values);
    }
    store.refresh_work();
  }
  Scratch scratch;
  ModelConfig model;
  ParamStore store;
  Gpt gpt;
  TokenFile file;
};

/// The same numbers from the twin: everything in double, all blocks in one batch.
ProbeRow of_twin(const Subject& subject, std::int64_t blocks) {
  torch::NoGradGuard no_grad;
  const auto& m = subject.model;
  Twin twin(m);
  for (const auto& p : subject.store.parameters())
    twin.parameter(p.name).copy_(ParamStore::view(subject.store.master(), p));
  MicroBatch batch;
  batch.batch = blocks, batch.T = m.block;
  batch.tokens_R = torch::arange(blocks * m.block).remainder(m.vocab);
  (void)twin.logits(batch);
  ProbeRow row;
  const auto past = torch::ones({m.block, m.block}, torch::kBool).tril();
  for (const auto& block : twin.blocks)
    for (int h = 0; h < m.heads; ++h) {
      const auto logits = block->logits_BHTT.select(1, h);
      const auto seen = logits.index({torch::indexing::Slice(), past});
      row.attention_logit_max.push_back(seen.max().item<double>());
      row.attention_logit_rms.push_back(seen.square().mean().sqrt().item<double>());
      const auto p = torch::softmax(logits.masked_fill(past.logical_not(), -INFINITY), 2);
      row.attention_entropy.push_back(-torch::xlogy(p, p).sum(2).mean().item<double>());
    }
  for (const auto& x : twin.residuals_BTC)
    row.residual_rms.push_back(x.square().mean().sqrt().item<double>());
  return row;
}

void expect_close(const std::vector<double>& got, const std::vector<double>& want, double allowed) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], allowed * std::abs(want[i])) << i;
}

void expect_close(const ProbeRow& got, const ProbeRow& want, double allowed) {
  expect_close(got.attention_logit_max, want.attention_logit_max, allowed);
  expect_close(got.attention_logit_rms, want.attention_logit_rms, allowed);
  expect_close(got.attention_entropy, want.attention_entropy, allowed);
  expect_close(got.residual_rms, want.residual_rms, allowed);
}

bool same_bits(const ProbeRow& a, const ProbeRow& b) {
  return a.attention_logit_max == b.attention_logit_max && a.attention_logit_rms == b.attention_logit_rms &&
         a.attention_entropy == b.attention_entropy && a.residual_rms == b.residual_rms;
}

TEST(Probe, GivesTheNumbersOfTheTwin) {
  const auto host = HostComm::world();
  for (const bool qk_norm : {false, true})
    for (const bool recompute : {false, true}) {
      Subject subject(qk_norm, {at::kFloat, at::kFloat}, recompute);
      expect_close(probe(host, subject.gpt, subject.store, subject.file, 5), of_twin(subject, 5), 1e-5);
    }
}

TEST(Probe, OfBfloat16IsThatOfItsRoundedActivations) {
  Subject subject(true, {at::kBFloat16, at::kFloat});
  expect_close(probe(HostComm::world(), subject.gpt, subject.store, subject.file, 5), of_twin(subject, 5),
               0.1);
}

TEST(Probe, IsTheSameBitsOnAnyNumberOfRanks) {
  const auto host = HostComm::world(), alone = host.split(host.rank());
  Subject subject(false);
  for (const std::int64_t blocks : {1, 3, 7})
    EXPECT_TRUE(same_bits(probe(host, subject.gpt, subject.store, subject.file, blocks),
                          probe(alone, subject.gpt, subject.store, subject.file, blocks)))
        << blocks;
}

TEST(Probe, TakesNoMoreBlocksThanTheFileHas) {
  const auto host = HostComm::world();
  Subject subject(false);  // 100 tokens: 11 blocks of 9 and their targets
  EXPECT_TRUE(same_bits(probe(host, subject.gpt, subject.store, subject.file, 1000),
                        probe(host, subject.gpt, subject.store, subject.file, 11)));
  EXPECT_FALSE(same_bits(probe(host, subject.gpt, subject.store, subject.file, 10),
                         probe(host, subject.gpt, subject.store, subject.file, 11)));
}

TEST(Probe, LeavesTheNextStepAsItWas) {
  Subject probed(true), other(true);
  MicroBatch batch;
  batch.batch = 2, batch.T = probed.model.block, batch.dropout = true, batch.dropout_seed = 5;
  batch.tokens_R = batch.targets_R = torch::arange(18).remainder(37);
  const auto loss_after = [&](Subject& s) {
    torch::NoGradGuard no_grad;
    s.gpt.forward(batch);
    s.gpt.evaluate(batch);
    return s.gpt.loss_sum().item<double>();
  };
  (void)probe(HostComm::world(), probed.gpt, probed.store, probed.file, 4);
  EXPECT_EQ(loss_after(probed), loss_after(other));
}

}  // namespace
}  // namespace weightscope

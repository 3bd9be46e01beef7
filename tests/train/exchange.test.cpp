#include "train/exchange.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace weightscope {

ModelConfig small_model() {
  ModelConfig m;
  m.layers = 3, m.heads = 2, m.width = 32, m.block = 8, m.vocab = 64;
  return m;
}

/// Gradient of micro-batch k of the global batch: nothing that adds up alike in two orders.
at::Tensor gradient(std::int64_t k, std::int64_t n) {
  return at::sin(at::arange(n, at::kFloat) * 0.37 + static_cast<double>(k * 11 + 1)) *
         (static_cast<double>(k % 3) + 0.1);
}

at::Tensor exchanged(const HostComm& host, Reduction reduction, int zero, std::int64_t global_micro_batches,
                     double bucket_mb) {
  auto comm = TensorComm::make(host, Place::host, 0, 60);
  ParamStore store(small_model(), types_of(Precision::fp32), {}, host.size());
  ParallelConfig parallel;
  parallel.reduction = reduction, parallel.zero = zero, parallel.bucket_mb = bucket_mb;
  const auto local = global_micro_batches / host.size();
  GradientExchange exchange(parallel, store, comm, host.rank(), host.size(), local);
  exchange.begin_step();
  auto grad = store.grad();
  for (std::int64_t k = 0; k < local; ++k) {
    const auto mine =
        gradient(host.rank() * local + k, store.size()) * exchange.token_weight(global_micro_batches);
    if (exchange.accumulates(k))
      grad.add_(mine);
    else
      grad.copy_(mine);
    for (std::int64_t offset = 0; offset < store.size(); offset += 4096) exchange.ready(k, offset);
    exchange.ready(k, store.size());
    exchange.end_micro_batch(k);
  }
  exchange.finish();
  return grad.clone();
}

at::Tensor expected_mean(std::int64_t n, std::int64_t micro_batches) {
  auto sum = at::zeros({n}, at::kDouble);
  for (std::int64_t k = 0; k < micro_batches; ++k)
    sum += gradient(k, n).to(at::kDouble) / static_cast<double>(micro_batches);
  return sum;
}

TEST(GradientExchange, GivesTheMeanOverTheGlobalBatch) {
  const auto host = HostComm::world();
  for (const auto reduction : {Reduction::fast, Reduction::reproducible})
    for (const double megabytes : {0.001, 0.05, 100.0}) {
      const auto got = exchanged(host, reduction, 0, 8, megabytes);
      EXPECT_LT((got.to(at::kDouble) - expected_mean(got.numel(), 8)).abs().max().item<double>(), 1e-6);
    }
}

TEST(GradientExchange, ReproducibleSumIsOneFixedTree) {
  const auto host = HostComm::world();
  const auto got = exchanged(host, Reduction::reproducible, 0, 8, 25);
  std::vector<at::Tensor> level;
  for (std::int64_t k = 0; k < 8; ++k) level.push_back(gradient(k, got.numel()) * (1.0 / 8));
  for (; level.size() > 1; level.resize(level.size() / 2))
    for (std::size_t i = 0; i < level.size() / 2; ++i) level[i] = level[2 * i] + level[2 * i + 1];
  EXPECT_TRUE(at::equal(got, level[0]));
}

TEST(GradientExchange, ShardsHoldTheMeanOfTheirPart) {
  const auto host = HostComm::world();
  const auto got = exchanged(host, Reduction::fast, 1, 8, 25);
  const auto part = got.numel() / host.size(), from = host.rank() * part;
  const auto mean = expected_mean(got.numel(), 8);
  EXPECT_LT(
      (got.narrow(0, from, part).to(at::kDouble) - mean.narrow(0, from, part)).abs().max().item<double>(),
      1e-6);
}

TEST(Buckets, CutWhereBlocksBeginAndCoverEverything) {
  const auto table = parameter_table(small_model());
  const auto size = flat_size(table, 2);
  const auto fine = bucket_ends(table, size, 0.0001), coarse = bucket_ends(table, size, 1000);
  EXPECT_EQ(coarse, std::vector<std::int64_t>{size});
  EXPECT_EQ(fine.back(), size);
  EXPECT_EQ(fine.size(), 6U) << "ln_f | h.2 | h.1 | h.0 | wpe | wte";
  EXPECT_TRUE(std::is_sorted(fine.begin(), fine.end()));
}

}  // namespace weightscope

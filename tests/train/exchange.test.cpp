#include "train/exchange.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ops/ops.hpp"
#include "train/gradient.hpp"

namespace weightscope {

/// Which ranks count as one node. Real nodes of a test are one machine; the others are pretended.
struct Nodes {
  const char* name;
  int (*color)(int rank);
};
const Nodes kOne{"one node", [](int) { return 0; }}, kPairs{"two ranks a node", [](int r) { return r / 2; }},
    kUneven{"three ranks and the rest", [](int r) { return r < 3 ? 0 : 1; }};

struct Case {
  Reduction reduction = Reduction::fast;
  int zero = 0;
  double bucket_mb = 25;
  SharedMemory memory = SharedMemory::off;
  Nodes nodes = kOne;
  Precision transport = Precision::fp32;
};

struct Exchanged {
  at::Tensor gradient;  ///< flat; only `shard` is meaningful
  Shard shard;
  double norm = 0;
  bool shares_memory = false;
};

Exchanged exchanged(const HostComm& host, std::int64_t global_micro_batches, const Case& c) {
  auto comm = TensorComm::make(host, Place::host, 0, 60);
  RunConfig config;
  config.model = small_model();
  config.parallel.reduction = c.reduction, config.parallel.zero = c.zero;
  config.parallel.bucket_mb = c.bucket_mb, config.parallel.shared_memory = c.memory;
  config.parallel.transport = c.transport;
  const auto node = NodeBuffers::make(config, {}, host, host.split(c.nodes.color(host.rank())));
  const auto types = types_of(Precision::fp32);
  const ParamStore store =
      node ? ParamStore(config.model, types, node->mine()) : ParamStore(config.model, types, {}, host.size());
  const auto local = global_micro_batches / host.size();
  GradientExchange exchange(config.parallel, store, comm, host, node.get(), local);
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
  Exchanged result{exchange.reduced().clone(), exchange.shard(), exchange.gradient_norm(),
                   exchange.shares_memory()};
  exchange.share_updated_weights();  // nobody frees shared memory that another still reads
  return result;
}

at::Tensor expected_mean(std::int64_t n, std::int64_t micro_batches) {
  auto sum = at::zeros({n}, at::kDouble);
  for (std::int64_t k = 0; k < micro_batches; ++k)
    sum += gradient(k, n).to(at::kDouble) / static_cast<double>(micro_batches);
  return sum;
}

/// Largest difference to the mean in this rank's shard, and the norm of the whole.
void expect_mean(const Exchanged& got, std::int64_t micro_batches, double allowed) {
  const auto mean = expected_mean(got.gradient.numel(), micro_batches);
  const auto part = [&](const at::Tensor& flat) { return flat.narrow(0, got.shard.begin, got.shard.size()); };
  if (got.shard.size() > 0) {
    EXPECT_LT((part(got.gradient).to(at::kDouble) - part(mean)).abs().max().item<double>(), allowed);
  }
  EXPECT_NEAR(got.norm, mean.norm().item<double>(), allowed * got.norm);
}

TEST(GradientExchange, GivesTheMeanOverTheGlobalBatch) {
  const auto host = HostComm::world();
  for (const auto reduction : {Reduction::fast, Reduction::reproducible})
    for (const double megabytes : {0.001, 0.05, 100.0}) {
      const auto got = exchanged(host, 8, {reduction, 0, megabytes});
      EXPECT_EQ(got.shard.size(), got.gradient.numel());
      expect_mean(got, 8, 1e-6);
    }
}

TEST(GradientExchange, GivesTheMeanThroughSharedMemoryOfEitherKind) {
  const auto host = HostComm::world();
  for (const auto memory : {SharedMemory::memfd, SharedMemory::window, SharedMemory::automatic}) {
    const auto got = exchanged(host, 8, {Reduction::fast, 0, 25, memory});
    EXPECT_EQ(got.shares_memory, host.size() > 1);
    expect_mean(got, 8, 1e-6);
  }
}

TEST(GradientExchange, GivesTheMeanOverEvenAndUnevenNodes) {
  const auto host = HostComm::world();
  for (const auto& nodes : {kPairs, kUneven})
    for (const double megabytes : {0.001, 0.07, 100.0}) {
      SCOPED_TRACE(nodes.name);
      expect_mean(exchanged(host, 8, {Reduction::fast, 0, megabytes, SharedMemory::automatic, nodes}), 8,
                  1e-6);
      // bf16 keeps 8 bits: each node's sum and the total are rounded once.
      expect_mean(exchanged(host, 8,
                            {Reduction::fast, 0, megabytes, SharedMemory::automatic, nodes, Precision::bf16}),
                  8, 1e-2);
    }
}

TEST(GradientExchange, ReproducibleSumIsOneFixedTreeHoweverItTravels) {
  const auto host = HostComm::world();
  for (const auto memory : {SharedMemory::off, SharedMemory::automatic})
    for (const auto& nodes : {kOne, kPairs, kUneven}) {
      SCOPED_TRACE(nodes.name);
      const auto got = exchanged(host, 8, {Reduction::reproducible, 0, 0.05, memory, nodes});
      std::vector<at::Tensor> level;
      for (std::int64_t k = 0; k < 8; ++k) level.push_back(gradient(k, got.gradient.numel()) * (1.0 / 8));
      for (; level.size() > 1; level.resize(level.size() / 2))
        for (std::size_t i = 0; i < level.size() / 2; ++i) level[i] = level[2 * i] + level[2 * i + 1];
      const auto part = [&](const at::Tensor& flat) {
        return flat.narrow(0, got.shard.begin, got.shard.size());
      };
      EXPECT_TRUE(at::equal(part(got.gradient), part(level[0])));
      EXPECT_EQ(got.norm, std::sqrt(ops::sum_of_squares(level[0]).item<double>()));
    }
}

TEST(GradientExchange, ShardsHoldTheMeanOfTheirPart) {
  const auto host = HostComm::world();
  for (const double megabytes : {0.001, 0.05, 100.0}) {  // buckets smaller and larger than shards
    const auto got = exchanged(host, 8, {Reduction::fast, 1, megabytes});
    EXPECT_EQ(got.shard.size(), got.gradient.numel() / host.size());
    expect_mean(got, 8, 1e-6);
  }
}

TEST(GradientExchange, MessagesMayTravelAsBf16) {
  const auto host = HostComm::world();
  for (const int zero : {0, 1})
    for (const double megabytes : {0.001, 100.0}) {
      const auto got =
          exchanged(host, 8, {Reduction::fast, zero, megabytes, SharedMemory::off, kOne, Precision::bf16});
      expect_mean(got, 8, 1e-2);
      if (host.size() == 1) continue;
      // What is rounded once or twice differs from the mean in the third digit, and not at all is a mistake.
      const auto mean = expected_mean(got.gradient.numel(), 8).narrow(0, got.shard.begin, got.shard.size());
      const auto mine = got.gradient.narrow(0, got.shard.begin, got.shard.size()).to(at::kDouble);
      EXPECT_GT((mine - mean).abs().max().item<double>(), 1e-4);
      if (zero == 0) {
        EXPECT_TRUE(at::equal(mine, mine.to(at::kBFloat16).to(at::kDouble))) << "the sum is rounded, too";
      }
    }
}

TEST(GradientExchange, ShardsOfAReproducibleSumAreThoseOfTheWhole) {
  const auto host = HostComm::world();
  const auto whole = exchanged(host, 8, {Reduction::reproducible, 0});
  const auto shard = exchanged(host, 8, {Reduction::reproducible, 1});
  EXPECT_EQ(shard.shard.size(), whole.gradient.numel() / host.size());
  const auto part = [&](const at::Tensor& flat) {
    return flat.narrow(0, shard.shard.begin, shard.shard.size());
  };
  EXPECT_TRUE(at::equal(part(whole.gradient), part(shard.gradient)));
  EXPECT_EQ(shard.norm, whole.norm) << "to the last bit, however the shards were cut";
}

TEST(GradientExchange, ShardsOfANodeCoverTheBufferOnce) {
  const auto host = HostComm::world();
  const auto got = exchanged(host, 8, {Reduction::fast, 0, 25, SharedMemory::automatic});
  EXPECT_EQ(host.sum(static_cast<double>(got.shard.size())), static_cast<double>(got.gradient.numel()));
  EXPECT_EQ(got.shard.begin % ops::kSquareBlock, 0);
}

/// Moments are on one rank each (shards), on one of each node, or on all ranks.
TEST(GradientExchange, WhatRankZeroSideHoldsReachesAllThatHoldItToo) {
  const auto host = HostComm::world();
  for (const auto memory : {SharedMemory::off, SharedMemory::automatic})
    for (const auto& nodes : {kOne, kPairs, kUneven})
      for (const int zero : {0, 1}) {
        SCOPED_TRACE(nodes.name);
        auto comm = TensorComm::make(host, Place::host, 0, 60);
        RunConfig config;
        config.model = small_model();
        config.parallel.shared_memory = memory, config.parallel.zero = zero;
        const int color = nodes.color(host.rank());
        const auto node = NodeBuffers::make(config, {}, host, host.split(color));
        const auto types = types_of(Precision::fp32);
        const ParamStore store = node ? ParamStore(config.model, types, node->mine())
                                      : ParamStore(config.model, types, {}, host.size());
        GradientExchange exchange(config.parallel, store, comm, host, node.get(), 1);
        const auto shard = exchange.shard();
        const auto index = at::arange(store.size(), at::kFloat);
        for (const int slot : {0, 1}) {
          const double off = node ? 1000 * color : zero == 0 ? 1000 * host.rank() : 0;
          const auto mine = (shard.of(index) + off).contiguous();
          exchange.broadcast_shards(mine, slot);
          EXPECT_TRUE(at::equal(mine, shard.of(index))) << slot;
        }
      }
}

TEST(GradientExchange, WeightsOfOtherShardsAreThereOnceTheyWereAwaited) {
  const auto host = HostComm::world();
  auto comm = TensorComm::make(host, Place::host, 0, 60);
  RunConfig config;
  config.model = small_model();
  config.parallel.zero = 1, config.parallel.bucket_mb = 0.001;
  const ParamStore store(config.model, types_of(Precision::bf16), {}, host.size());
  GradientExchange exchange(config.parallel, store, comm, host, nullptr, 1);
  const auto shard = exchange.shard();
  for (int round = 0; round < 2; ++round) {  // the second one as well
    const auto updated = gradient(round, store.size()), half = updated.to(at::kBFloat16);
    at::Tensor(store.master()).fill_(-1);
    at::Tensor(store.work()).fill_(-1);
    shard.of(store.master()).copy_(shard.of(updated));
    exchange.share_updated_weights();
    EXPECT_EQ(exchange.weights_under_way(), host.size() > 1);
    if (host.size() == 1) break;
    const auto ends = bucket_ends(store.parameters(), store.size(), config.parallel.bucket_mb);
    for (auto i = ends.size(); i-- > 0;) {
      const Shard wanted{i == 0 ? 0 : ends[i - 1], ends[i]}, rest{0, wanted.begin};
      exchange.await_weights(wanted.begin + 1);  // one element of a bucket needs all of it
      EXPECT_TRUE(at::equal(wanted.of(store.master()), wanted.of(updated)));
      EXPECT_TRUE(at::equal(wanted.of(store.work()), wanted.of(half)));
      EXPECT_TRUE((rest.of(store.work()) == -1).all().item<bool>()) << "what is not needed is not awaited";
    }
    EXPECT_FALSE(exchange.weights_under_way());
    EXPECT_TRUE(at::equal(store.master(), updated));
  }
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

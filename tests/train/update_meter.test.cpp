#include "train/update_meter.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "monitor/statistics.hpp"

namespace weightscope {
namespace {

constexpr std::int64_t kMicroBatches = 8, kUpdates = 3;
constexpr double kScale = 0.25;  // of gradients: clipping

/// Of micro-batch k in step t; far below the bins.
at::Tensor gradient(std::int64_t t, std::int64_t k, std::int64_t n) {
  return at::sin(at::arange(n, at::kFloat) * 0.37 + static_cast<double>(k * 11 + 5 * t + 1)) * 1e-8;
}

at::Tensor mean_gradient(std::int64_t t, std::int64_t n) {
  auto sum = at::zeros({n}, at::kDouble);
  for (std::int64_t k = 0; k < kMicroBatches; ++k) sum += gradient(t, k, n).to(at::kDouble) / kMicroBatches;
  return sum;
}

RunConfig small(SharedMemory memory, int zero, Reduction reduction) {
  RunConfig config;
  config.model.layers = 2, config.model.heads = 2, config.model.width = 32, config.model.block = 8,
  config.model.vocab = 64;
  config.parallel.shared_memory = memory, config.parallel.zero = zero, config.parallel.reduction = reduction;
  config.optimizer.eps = 1e-10, config.monitor.gradients = true;
  return config;
}

double lr_of(std::int64_t t) { return 1e-3 * static_cast<double>(t + 1); }

/// What an update did, and what the meter says of it.
struct Measured {
  UpdateRecord record;
  at::Tensor before, after;
  std::vector<Parameter> table;
};

/// Some updates with made-up gradients; the last is measured. ranks_per_node: pretended nodes.
Measured measured(const HostComm& host, const RunConfig& config, int ranks_per_node) {
  auto comm = TensorComm::make(host, Place::host, 0, 60);
  const auto node = NodeBuffers::make(config, {}, host, host.split(host.rank() / ranks_per_node));
  const auto types = types_of(Precision::fp32);
  const ParamStore store =
      node ? ParamStore(config.model, types, node->mine()) : ParamStore(config.model, types, {}, host.size());
  const auto local = kMicroBatches / host.size(), n = store.size();
  GradientExchange exchange(config.parallel, store, comm, host, node.get(), local);
  Optimizer optimizer(config.optimizer, store, exchange.shard());
  UpdateMeter meter({&config, &host, nullptr, &store, &exchange, &optimizer});
  if (host.is_root()) at::Tensor(store.master()).copy_(at::cos(at::arange(n, at::kFloat) * 0.61) * 0.02);
  exchange.broadcast_weights();
  Measured result;
  for (std::int64_t t = 0; t < kUpdates; ++t) {
    result.before = store.master().clone();
    if (t + 1 == kUpdates) meter.keep_weights();
    exchange.begin_step();
    for (std::int64_t k = 0; k < local; ++k) {
      const auto mine = gradient(t, host.rank() * local + k, n) * exchange.token_weight(kMicroBatches);
      exchange.accumulates(k) ? at::Tensor(store.grad()).add_(mine) : at::Tensor(store.grad()).copy_(mine);
      exchange.ready(k, n);
      exchange.end_micro_batch(k);
    }
    exchange.finish();
    optimizer.update(t + 1, lr_of(t), kScale, exchange.reduced(), true);
    exchange.share_updated_weights();
  }
  result.record = meter.measure(kUpdates, lr_of(kUpdates - 1));
  result.after = store.master().clone(), result.table = store.parameters();
  host.barrier();  // nobody frees shared memory that another still reads
  return result;
}

struct Way {
  const char* name;
  SharedMemory memory;
  int zero, ranks_per_node;
};
constexpr std::array kWays{Way{"messages", SharedMemory::off, 0, 4}, Way{"ZeRO-1", SharedMemory::off, 1, 4},
                           Way{"shared memory", SharedMemory::automatic, 0, 4},
                           Way{"shared memory of two nodes", SharedMemory::automatic, 0, 2}};

/// Moments after the last update, from the gradients alone.
std::pair<at::Tensor, at::Tensor> moments(std::int64_t n, const OptimizerConfig& o) {
  auto m = at::zeros({n}, at::kDouble), v = at::zeros({n}, at::kDouble);
  for (std::int64_t t = 0; t < kUpdates; ++t) {
    const auto g = mean_gradient(t, n) * kScale;
    m = o.beta1 * m + (1 - o.beta1) * g, v = o.beta2 * v + (1 - o.beta2) * g * g;
  }
  return {m, v};
}

void expect_gradient(const Measurement& found, const at::Tensor& right, const std::string& name) {
  const double norm = right.norm().item<double>();
  EXPECT_NEAR(statistics::norm(found.summary), norm, 1e-5 * norm) << name;
  EXPECT_NEAR(std::sqrt(found.summary.m2 / static_cast<double>(right.numel())),
              right.std(false).item<double>(), 1e-5 * norm)
      << name;
  EXPECT_EQ(found.summary.count, static_cast<std::uint64_t>(right.numel())) << name;
  EXPECT_EQ(found.histogram.exponent, 3 - std::ilogb(right.abs().max().item<float>())) << name;
}

void expect_budget(const NormBudget& found, const at::Tensor& before, const at::Tensor& after,
                   const at::Tensor& adam, bool decays, const std::string& name) {
  const auto w = before.to(at::kDouble), now = after.to(at::kDouble), moved = now - w;
  const double lr = lr_of(kUpdates - 1), w2 = w.square().sum().item<double>(), lambda = decays ? 0.1 : 0,
               unit = std::ldexp(1.0, -24);
  EXPECT_NEAR(found.change, (now.square() - w.square()).sum().item<double>(), 1e-14 * w2) << name;
  EXPECT_NEAR(found.decay, -2 * lr * lambda * w2, 1e-14 * w2) << name;
  EXPECT_NEAR(found.gradient, -2 * lr * (w * adam).sum().item<double>(),
              1e-4 * lr * (w * adam).abs().sum().item<double>())
      << name;
  EXPECT_NEAR(found.second_order, moved.square().sum().item<double>(), 1e-14 * w2) << name;
  EXPECT_LT(std::abs(found.residual()), unit * (6 * w2 + 12 * std::sqrt(w2 * found.second_order))) << name;
}

}  // namespace

TEST(UpdateMeter, MeasuresTheMeanGradientBeforeClippingAndWhereTheNormChanges) {
  const auto host = HostComm::world();
  for (const auto& way : kWays) {
    SCOPED_TRACE(way.name);
    const auto config = small(way.memory, way.zero, Reduction::fast);
    const auto got = measured(host, config, way.ranks_per_node);
    EXPECT_EQ(got.record.gradient.parameters.empty(), !host.is_root());
    if (!host.is_root()) continue;
    const auto n = got.before.numel();
    const auto mean = mean_gradient(kUpdates - 1, n);
    const auto [m, v] = moments(n, config.optimizer);
    const auto t = static_cast<double>(kUpdates);
    const auto adam =
        m / (1 - std::pow(0.9, t)) / ((v / (1 - std::pow(0.95, t))).sqrt() + config.optimizer.eps);
    ASSERT_EQ(got.record.budget.parameters.size(), got.table.size());
    for (std::size_t i = 0; i < got.table.size(); ++i) {
      const auto& p = got.table[i];
      const auto part = [&](const at::Tensor& flat) { return ParamStore::view(flat, p); };
      expect_gradient(got.record.gradient.parameters[i], part(mean), p.name);
      expect_budget(got.record.budget.parameters[i], part(got.before), part(got.after), part(adam),
                    p.shape.size() > 1, p.name);
      if (p.name != "h.1.attn.c_attn.weight") continue;
      const auto key = [&](const at::Tensor& flat) { return part(flat).narrow(0, 32, 32); };
      expect_gradient(got.record.gradient.components[7 + 2], key(mean), "k of layer 1");
      expect_budget(got.record.budget.components[7 + 2], key(got.before), key(got.after), key(adam), true,
                    "k of layer 1");
    }
  }
}

TEST(UpdateMeter, GivesTheSameBitsOnAnyNumberOfRanksWhereGradientsAreReproducible) {
  const auto host = HostComm::world();
  const auto alone =
      measured(host.split(host.rank()), small(SharedMemory::off, 0, Reduction::reproducible), 1);
  for (const auto& way : kWays) {
    SCOPED_TRACE(way.name);
    const auto together =
        measured(host, small(way.memory, way.zero, Reduction::reproducible), way.ranks_per_node);
    if (!host.is_root()) continue;
    const auto expect_same = [](const auto& a, const auto& b) {
      ASSERT_EQ(a.size(), b.size());
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])), 0);
    };
    expect_same(together.record.budget.components, alone.record.budget.components);
    expect_same(together.record.budget.parameters, alone.record.budget.parameters);
    for (const auto part : {&ByTarget<Measurement>::components, &ByTarget<Measurement>::parameters}) {
      const auto &a = together.record.gradient.*part, &b = alone.record.gradient.*part;
      ASSERT_EQ(a.size(), b.size());
      for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(a[i].histogram.bins, b[i].histogram.bins);
        EXPECT_EQ(a[i].histogram.exponent, b[i].histogram.exponent);
        EXPECT_EQ(a[i].summary.m2, b[i].summary.m2);
        EXPECT_EQ(a[i].summary.mean, b[i].summary.mean);
      }
    }
  }
}

TEST(UpdateMeter, BudgetOfTheOptimizersUpdateClosesInDouble) {
  const auto config = small(SharedMemory::off, 0, Reduction::fast);
  const ParamStore store(config.model, {at::kDouble, at::kDouble}, {}, 1);
  const auto n = store.size();
  at::Tensor(store.master()).copy_(at::cos(at::arange(n, at::kDouble) * 0.61) * 0.02);
  Optimizer optimizer(config.optimizer, store, {0, n});
  at::Tensor before;
  for (std::int64_t t = 0; t < kUpdates; ++t) {
    before = store.master().clone();
    optimizer.update(t + 1, lr_of(t), kScale, mean_gradient(t, n), false);
  }
  const auto& o = config.optimizer;
  for (const auto& p : store.parameters()) {
    const auto start = [&](const at::Tensor& flat) { return flat.data_ptr<double>() + p.offset; };
    const auto budget = norm_budget(
        Updated<double>{start(before), start(store.master()), start(optimizer.exp_avg()),
                        start(optimizer.exp_avg_sq()), static_cast<std::size_t>(p.numel())},
        {lr_of(kUpdates - 1), p.decays() ? o.weight_decay : 0, o.beta1, o.beta2, o.eps, kUpdates});
    const double w2 = ParamStore::view(before, p).square().sum().item<double>();
    EXPECT_LT(std::abs(budget.residual()), 1e-14 * w2) << p.name;
    EXPECT_GT(budget.second_order, 1e-5 * w2) << p.name;
  }
}

}  // namespace weightscope

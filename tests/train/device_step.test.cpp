// The whole training step on a GPU: against the fixtures, and against itself.
#include <ATen/cuda/CUDAContext.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/cuda/CUDAFunctions.h>

#include <cmath>
#include <limits>

#include "model/device.hpp"
#include "monitor/statistics.hpp"
#include "support/gpu.hpp"
#include "train/oracle_run.hpp"

namespace weightscope {

const DevicePlace kGpu{Place::cuda, 0};

class StepOnGpu : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (!IsSkipped()) select_device(0);
  }
};

std::int64_t allocations() {
  const auto stats = c10::getDeviceAllocator(c10::kCUDA)->getDeviceStats(0);
  return stats.allocation[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].allocated;
}

TEST_F(StepOnGpu, WeightsMomentsAndLossesOfFiveSteps) {
  OracleRun run(1.0, kGpu);
  ASSERT_TRUE(run.step.overlaps());
  expect_five_steps(run);
}

/// What the weights are after ten steps on the same five batches.
at::Tensor ten_steps(OracleRun& run, bool one_late, std::vector<double>& losses) {
  std::optional<std::int64_t> begun;
  const auto end = [&] {
    if (begun) losses.push_back(run.step.end(*begun).loss);
    begun.reset();
  };
  for (std::int64_t s = 0; s < 10; ++s) {
    run.step.begin(s, run.batch(static_cast<std::size_t>(s % 5)), s % 3 == 0);
    end();
    begun = s;
    if (!one_late) end();
  }
  end();
  return run.store.master().cpu();
}

TEST_F(StepOnGpu, ResultsTakenOneStepLateAreTheSame) {
  OracleRun at_once(1.0, kGpu), late(1.0, kGpu), cpu;
  std::vector<double> a, b, c;
  const auto weights = ten_steps(at_once, false, a);
  EXPECT_TRUE(at::equal(weights, ten_steps(late, true, b)));
  EXPECT_EQ(a, b);
  EXPECT_LT((weights - ten_steps(cpu, false, c)).abs().max().item<double>(),
            1e-3);  // AdamW enlarges rounding
  for (std::size_t s = 0; s < a.size(); ++s) EXPECT_NEAR(a[s] / c[s], 1, 1e-4) << s;
}

TEST_F(StepOnGpu, GraphsDropWhatTheirStepDrops) {
  auto config = oracle_config();
  config.model.dropout = 0.2;
  auto without = config;
  without.train.cuda_graphs = Graphs::off;
  OracleRun recorded(config, kGpu), launched(without, kGpu), cpu(config, {});
  std::vector<double> a, b, c;
  EXPECT_TRUE(at::equal(ten_steps(recorded, true, a), ten_steps(launched, true, b)));
  EXPECT_EQ(a, b);
  ten_steps(cpu, false, c);
  for (std::size_t s = 0; s < a.size(); ++s) EXPECT_NEAR(a[s] / c[s], 1, 1e-4) << s;
}

TEST_F(StepOnGpu, AllocatesNothingAndNeverWaitsInTheSteadyState) {
  auto config = oracle_config();
  config.model.dropout = 0.2;
  OracleRun run(config, kGpu);
  std::vector<Batch> batches;
  for (std::size_t s = 0; s < 5; ++s) batches.push_back(run.batch(s));
  run.step.begin(0, batches[0], false);
  std::int64_t before = 0;
  for (std::int64_t s = 1; s < 12; ++s) {
    if (s == 6) {  // libraries are warm, graphs recorded
      before = allocations();
      c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_ERROR);
    }
    run.step.begin(s, batches[static_cast<std::size_t>(s % 5)], false);
    run.step.end(s - 1);
  }
  c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_DISABLED);
  EXPECT_EQ(allocations(), before);
  run.step.end(11);
}

TEST_F(StepOnGpu, SkipsTheUpdateWhenAGradientIsNotFinite) {
  OracleRun run(1.0, kGpu);
  for (std::int64_t s = 0; s < 4; ++s) run.step.run(s, run.batch(static_cast<std::size_t>(s)), false);
  ParamStore::view(run.store.master(), run.store.find("ln_f.weight"))
      .fill_(std::numeric_limits<float>::infinity());
  const auto before = run.store.master().clone(), moments = run.optimizer.exp_avg().clone();
  const auto result = run.step.run(4, run.batch(4), true);
  EXPECT_FALSE(std::isfinite(result.loss) && std::isfinite(result.grad_norm));
  EXPECT_TRUE(at::equal(run.store.master(), before));
  EXPECT_TRUE(at::equal(run.optimizer.exp_avg(), moments));
}

TEST_F(StepOnGpu, MovementIsWhatTheWeightsMoved) {
  OracleRun run(1.0, kGpu);
  for (std::int64_t s = 0; s < 4; ++s) {
    const auto before = run.store.master().to(at::kDouble);
    const auto result = run.step.run(s, run.batch(static_cast<std::size_t>(s)), true);
    const auto gone = run.store.master().to(at::kDouble) - before;
    const auto& table = run.store.parameters();
    ASSERT_EQ(result.moved.size(), table.size());
    for (std::size_t p = 0; p < table.size(); ++p) {
      const double expected = ParamStore::view(gone, table[p]).square().sum().item<double>();
      EXPECT_NEAR(result.moved[p], expected, 1e-4 * expected + 1e-20) << table[p].name;
    }
  }
}

TEST_F(StepOnGpu, MeasuresAnUpdateAsOnTheCpuAndLeavesItAlone) {
  OracleRun gpu(1.0, kGpu, true), cpu(1.0, {}, true), unmeasured(1.0, kGpu);
  for (std::int64_t s = 0; s < 6; ++s) {
    const auto batch = gpu.batch(static_cast<std::size_t>(s % 5));
    const bool measure = s % 2 == 1;  // of steps that graphs made, from 3 on
    const auto found = gpu.step.run(s, batch, measure).record, right = cpu.step.run(s, batch, measure).record;
    unmeasured.step.run(s, batch, false);
    ASSERT_EQ(found.gradient.parameters.size(), measure ? gpu.store.parameters().size() : 0);
    for (std::size_t p = 0; p < found.gradient.parameters.size(); ++p) {
      const auto& name = gpu.store.parameters()[p].name;
      const double norm = statistics::norm(right.gradient.parameters[p].summary);
      EXPECT_NEAR(statistics::norm(found.gradient.parameters[p].summary), norm, 1e-3 * norm) << name;
      const auto &a = found.budget.parameters[p], &b = right.budget.parameters[p];
      EXPECT_NEAR(a.second_order, b.second_order, 1e-2 * b.second_order) << name;
      EXPECT_NEAR(a.decay, b.decay, 1e-3 * std::abs(b.decay)) << name;
      // The parts close to the change, but for rounding of the weights.
      const double w2 = std::abs(a.decay) + a.second_order + std::abs(a.change);
      EXPECT_LT(std::abs(a.residual()), 1e-3 * w2 + 1e-9) << name;
    }
  }
  EXPECT_LT((gpu.store.master() - unmeasured.store.master()).abs().max().item<double>(), 1e-6);
}

}  // namespace weightscope

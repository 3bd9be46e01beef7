// What `weightscope check` says about a GPU, on any machine.
#include "model/memory_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace weightscope {

RunConfig on_a_gpu(Precision precision, Reduction reduction) {
  RunConfig c;
  c.model.layers = 2, c.model.heads = 12, c.model.width = 768, c.model.block = 1000;
  c.train.micro_batch = 4, c.train.global_batch = 4;
  c.train.device = Device::cuda;
  c.train.precision = precision;
  c.parallel.reduction = reduction;
  return c;
}

std::int64_t bytes_of(const RunConfig& config, int world, const std::string& what) {
  const auto plan = plan_memory(config, world);
  const auto line =
      std::find_if(plan.begin(), plan.end(), [&](const auto& p) { return p.what.starts_with(what); });
  return line == plan.end() ? 0 : line->bytes;
}

TEST(MemoryPlan, CountsWhatRepeatableAttentionKeepsOfItsBackwardPass) {
  const auto bytes = [](Precision precision, Reduction reduction) {
    return bytes_of(on_a_gpu(precision, reduction), 1, "attention's gradients added in a fixed order");
  };
  EXPECT_EQ(bytes(Precision::bf16, Reduction::reproducible), 2 * 4 * 12 * 1024 * 1024);
  EXPECT_EQ(bytes(Precision::bf16, Reduction::fast), 0);
  EXPECT_EQ(bytes(Precision::fp32, Reduction::reproducible), 0);
}

TEST(MemoryPlan, CountsTheUpdateOfTheLargestTensorWhereItsOrderIsFixed) {
  auto c = on_a_gpu(Precision::bf16, Reduction::reproducible);
  c.model.vocab = 50257;
  EXPECT_EQ(bytes_of(c, 1, "update of the largest tensor"), 32 * std::int64_t{50304} * 768);
  c.parallel.reduction = Reduction::fast;
  EXPECT_EQ(bytes_of(c, 1, "update of the largest tensor"), 0);
}

/// Every checkpoint gathers them, also the one of a run that is stopped.
TEST(MemoryPlan, CountsTheMomentsThatACheckpointOfShardsGathers) {
  for (const auto device : {Device::cuda, Device::cpu}) {
    auto c = on_a_gpu(Precision::fp32, Reduction::fast);
    c.train.device = device, c.parallel.shared_memory = SharedMemory::off;
    const auto gathered = [&](int zero, int world) {
      c.parallel.zero = zero;
      return bytes_of(c, world, "second moments of all ranks");
    };
    EXPECT_EQ(gathered(1, 4), bytes_of(c, 4, "gradients"));
    EXPECT_EQ(gathered(1, 1), 0);
    EXPECT_EQ(gathered(0, 4), 0);
  }
}

struct Measured {
  const char* name;
  int layers, heads, width, block;
  std::int64_t batch, micro_batch;
  bool recompute;
  std::int64_t bytes;
};

// The most that tensors took on one H200 (bench/results/gpu.json of 2026-11-26: bf16, no displacement).
constexpr Measured kMeasured[] = {
    {"124M, 64 x 1024", 12, 12, 768, 1024, 64, 64, false, 27'372'366'336},
    {"124M, 16 x 1024", 12, 12, 768, 1024, 16, 16, false, 9'813'044'224},
    {"124M, 8 x 256", 12, 12, 768, 256, 8, 8, false, 3'225'654'272},
    {"1.5B, micro-batches of 8", 48, 25, 1600, 1024, 64, 8, false, 52'266'682'368},
    {"1.5B, micro-batches of 32, recompute", 48, 25, 1600, 1024, 64, 32, true, 43'200'595'456},
};

TEST(MemoryPlan, AgreesWithWhatAGpuNeeded) {
  for (const auto& m : kMeasured) {
    SCOPED_TRACE(m.name);
    RunConfig c = on_a_gpu(Precision::bf16, Reduction::fast);
    c.model.layers = m.layers, c.model.heads = m.heads, c.model.width = m.width, c.model.block = m.block;
    c.model.vocab = 50257;
    c.train.global_batch = m.batch, c.train.micro_batch = m.micro_batch, c.train.recompute = m.recompute;
    c.monitor.displacement = false;
    const auto planned = static_cast<double>(total_bytes(plan_memory(c, 1)));
    EXPECT_NEAR(planned / static_cast<double>(m.bytes), 1, 0.01);
  }
}

}  // namespace weightscope

// What `weightscope check` says about a GPU, on any machine.
#include "model/memory_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>

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

std::int64_t fixed_order_bytes(Precision precision, Reduction reduction) {
  const auto plan = plan_memory(on_a_gpu(precision, reduction), 1);
  const auto line = std::find_if(plan.begin(), plan.end(), [](const auto& p) {
    return p.what == "attention's gradients added in a fixed order";
  });
  return line == plan.end() ? 0 : line->bytes;
}

TEST(MemoryPlan, CountsWhatRepeatableAttentionKeepsOfItsBackwardPass) {
  EXPECT_EQ(fixed_order_bytes(Precision::bf16, Reduction::reproducible), 2 * 4 * 12 * 1024 * 1024);
  EXPECT_EQ(fixed_order_bytes(Precision::bf16, Reduction::fast), 0);
  EXPECT_EQ(fixed_order_bytes(Precision::fp32, Reduction::reproducible), 0);
}

}  // namespace weightscope

#pragma once
// Shared by the operator tests: random tensors, and agreement of a fused operator with its reference.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "ops/ops.hpp"

namespace weightscope::ops {

inline at::Tensor random_tensor(at::IntArrayRef shape, at::ScalarType type, double scale = 1) {
  return (at::randn(shape, at::kFloat) * scale).to(type);
}

/// Largest |a − b| over the largest |b|.
inline double relative_error(const at::Tensor& a, const at::Tensor& b) {
  const auto x = a.to(at::kDouble), y = b.to(at::kDouble);
  return (x - y).abs().max().item<double>() / std::max(1e-30, y.abs().max().item<double>());
}

/// fp32 kernels differ from the reference by rounding of sums; bf16 ones by one rounding of the result
/// (2^-8).
inline double tolerance(at::ScalarType type) { return type == at::kBFloat16 ? 1e-2 : 5e-6; }

class BothTypes : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::manual_seed(20261123); }
  at::ScalarType work() const { return GetParam(); }
  double allowed() const { return tolerance(work()); }
};

}  // namespace weightscope::ops

#define WEIGHTSCOPE_BOTH_TYPES(suite)                                                \
  INSTANTIATE_TEST_SUITE_P(Types, suite, testing::Values(at::kFloat, at::kBFloat16), \
                           [](const auto& each) { return std::string(c10::toString(each.param)); })

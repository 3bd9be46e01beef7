#pragma once
// What the tests of the exchange have in common: a small model, and gradients for it.
#include <ATen/ATen.h>

#include "config/run_config.hpp"

namespace weightscope {

inline ModelConfig small_model() {
  ModelConfig m;
  m.layers = 3, m.heads = 2, m.width = 32, m.block = 8, m.vocab = 64;
  return m;
}

/// Gradient of micro-batch k of the global batch: nothing that adds up alike in two orders.
inline at::Tensor gradient(std::int64_t k, std::int64_t n) {
  return at::sin(at::arange(n, at::kFloat) * 0.37 + static_cast<double>(k * 11 + 1)) *
         (static_cast<double>(k % 3) + 0.1);
}

}  // namespace weightscope

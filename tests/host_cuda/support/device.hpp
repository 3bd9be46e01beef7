#pragma once
// Where tests of device code have their tensors when the host stands in for the device.
#include "ops/cuda/ops_cuda.hpp"
#include "support/gpu.hpp"

namespace weightscope {

namespace on_device = ops::cuda;

inline at::Tensor gpu(const at::Tensor& t) { return t.defined() ? t.clone() : t; }

}  // namespace weightscope

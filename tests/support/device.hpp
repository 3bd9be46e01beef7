#pragma once
// Where tests of device code have their tensors: on a GPU. host_cuda/support/device.hpp: on the host.
#include "ops/ops.hpp"
#include "support/gpu.hpp"

namespace weightscope {

namespace on_device = ops;  // the operators see where their tensors are

inline at::Tensor gpu(const at::Tensor& t) { return t.defined() ? t.to(at::kCUDA) : t; }

}  // namespace weightscope

#pragma once
// Private to ops/*.cpp: from tensors to the kernels' pointers.
#include <ATen/ATen.h>

#include "core/error.hpp"
#include "ops/cpu/kernels.hpp"

namespace weightscope::ops {

/// True when the CPU kernels serve this activation tensor; everything else goes to the reference.
inline bool has_kernel(const at::Tensor& work) {
  return work.is_cpu() && (work.scalar_type() == at::kFloat || work.scalar_type() == at::kBFloat16);
}

template <class T>
T* pointer(const at::Tensor& t) {
  return t.defined() ? static_cast<T*>(t.data_ptr()) : nullptr;
}

/// Calls f(kernels of the activation type, typed null pointer) for a tensor that has_kernel().
template <class F>
auto with_kernels(const at::Tensor& work, F&& f) {
  if (work.scalar_type() == at::kBFloat16) return f(cpu::kernels().b16, static_cast<cpu::bf16*>(nullptr));
  return f(cpu::kernels().f32, static_cast<float*>(nullptr));
}

/// out = or += value, as the gradient conventions ask.
inline void write_to(at::Tensor out, const at::Tensor& value, bool add) {
  if (add)
    out.add_(value);
  else
    out.copy_(value);
}

}  // namespace weightscope::ops

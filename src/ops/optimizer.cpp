#include <cmath>

#include "ops/cuda/ops_cuda.hpp"
#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops {

at::Tensor sum_of_squares(const at::Tensor& x) {
  if (cuda::serves(x) && x.scalar_type() == at::kFloat) return cuda::sum_of_squares(x);
  if (!x.is_cpu() || x.scalar_type() != at::kFloat) return reference::sum_of_squares(x);
  return at::scalar_tensor(cpu::kernels().sum_of_squares(pointer<float>(x), x.numel()), at::kDouble)
      .view({1});
}

void squares_of_blocks(const at::Tensor& x, std::span<double> squares) {
  cpu::kernels().squares_of_blocks(pointer<float>(x), x.numel(), squares.data());
}

void sum_parts(std::span<const at::Tensor> parts, at::Tensor out, std::span<double> squares) {
  std::vector<const float*> pointers;
  for (const auto& part : parts) pointers.push_back(pointer<float>(part));
  cpu::kernels().sum_parts(pointers.data(), static_cast<cpu::Index>(pointers.size()), pointer<float>(out),
                           squares.data(), out.numel());
}

void adamw(at::Tensor w, const at::Tensor& g, at::Tensor m, at::Tensor v, at::Tensor work_copy,
           const AdamW& h, at::Tensor delta2) {
  const bool copies = work_copy.defined() && work_copy.scalar_type() == at::kBFloat16;
  if (!w.is_cpu() || w.scalar_type() != at::kFloat) return reference::adamw(w, g, m, v, work_copy, h, delta2);
  const auto t = static_cast<double>(h.step);
  const cpu::AdamWScalars scalars{static_cast<float>(1 - h.lr * h.weight_decay),
                                  static_cast<float>(h.lr * h.step_scale / (1 - std::pow(h.beta1, t))),
                                  static_cast<float>(h.beta1),
                                  static_cast<float>(h.beta2),
                                  static_cast<float>(h.eps),
                                  static_cast<float>(1 / std::sqrt(1 - std::pow(h.beta2, t))),
                                  static_cast<float>(h.grad_scale)};
  const double moved = cpu::kernels().adamw(
      pointer<float>(w), pointer<float>(g), pointer<float>(m), pointer<float>(v),
      copies ? pointer<cpu::bf16>(work_copy) : nullptr, w.numel(), scalars, delta2.defined());
  if (delta2.defined()) *pointer<double>(delta2) += moved;
}

}  // namespace weightscope::ops

#include <cmath>

#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops::reference {

at::Tensor sum_of_squares(const at::Tensor& x) { return x.to(at::kDouble).square().sum().view({1}); }

void adamw(at::Tensor w, const at::Tensor& g, at::Tensor m, at::Tensor v, at::Tensor work_copy,
           const AdamW& h, at::Tensor delta2) {
  const auto t = static_cast<double>(h.step);
  const auto grad = g * h.grad_scale;
  m.mul_(h.beta1).add_(grad, 1 - h.beta1);
  v.mul_(h.beta2).addcmul_(grad, grad, 1 - h.beta2);
  const auto before = delta2.defined() ? w.clone() : at::Tensor();
  w.mul_(1 - h.lr * h.weight_decay);
  const auto denominator = v.sqrt().div_(std::sqrt(1 - std::pow(h.beta2, t))).add_(h.eps);
  w.addcdiv_(m, denominator, -h.lr * h.step_scale / (1 - std::pow(h.beta1, t)));
  if (delta2.defined()) delta2.add_((w - before).to(at::kDouble).square().sum());
  if (work_copy.defined() && !work_copy.is_same(w)) work_copy.copy_(w);
}

}  // namespace weightscope::ops::reference

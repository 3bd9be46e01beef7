#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops::reference {

void cross_entropy(at::Tensor& logits, const at::Tensor& targets_R, std::int64_t vocab, double dscale,
                   at::Tensor& loss_sum) {
  const auto type = logits.scalar_type() == at::kBFloat16 ? at::kFloat : logits.scalar_type();
  const auto log_p = at::log_softmax(logits.narrow(1, 0, vocab).to(type), 1);
  loss_sum.sub_(log_p.gather(1, targets_R.unsqueeze(1)).sum(at::kDouble));
  if (dscale == 0) return;
  auto p = log_p.exp();
  p.scatter_add_(1, targets_R.unsqueeze(1), at::full({targets_R.size(0), 1}, -1.0, p.options()));
  logits.zero_();
  logits.narrow(1, 0, vocab).copy_(p * dscale);
}

}  // namespace weightscope::ops::reference

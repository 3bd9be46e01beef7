#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops::reference {

void embedding(const at::Tensor& tokens_R, const at::Tensor& wte, const at::Tensor& wpe, std::int64_t T,
               at::Tensor& x_RC) {
  const auto positions = at::arange(tokens_R.size(0), tokens_R.options()).remainder(T);
  x_RC.copy_(wte.index_select(0, tokens_R) + wpe.index_select(0, positions));
}

void embedding_backward(const at::Tensor& dx_RC, const at::Tensor& tokens_R, std::int64_t T, at::Tensor dwte,
                        at::Tensor dwpe, Write write) {
  if (write == Write::assign) dwpe.zero_();
  dwpe.narrow(0, 0, T).add_(dx_RC.view({-1, T, dx_RC.size(1)}).sum(0));
  // index_put_ with accumulate sorts equal tokens together, so the sum has a fixed order on CUDA as well.
  dwte.index_put_({tokens_R}, dx_RC, /*accumulate=*/true);
}

}  // namespace weightscope::ops::reference

#include "ops/cuda/ops_cuda.hpp"
#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops {

void cross_entropy(at::Tensor& logits, const at::Tensor& targets_R, std::int64_t vocab, double dscale,
                   at::Tensor& loss_sum) {
  if (cuda::serves_rows(logits)) return cuda::cross_entropy(logits, targets_R, vocab, dscale, loss_sum);
  if (!has_kernel(logits)) return reference::cross_entropy(logits, targets_R, vocab, dscale, loss_sum);
  *pointer<double>(loss_sum) += with_kernels(logits, [&](const auto& k, auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    return k.cross_entropy(pointer<T>(logits), pointer<cpu::Index>(targets_R), static_cast<float>(dscale),
                           logits.size(0), vocab, logits.size(1));
  });
}

}  // namespace weightscope::ops

#include "ops/cuda/ops_cuda.hpp"
#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops {

void dropout(at::Tensor& x_RC, double p, const Masks& masks, std::int64_t T) {
  if (p == 0) return;
  if (cuda::serves(x_RC)) return cuda::dropout(x_RC, p, masks, T);
  if (!has_kernel(x_RC)) return reference::dropout(x_RC, p, masks, T);
  with_kernels(x_RC, [&](const auto& k, auto* null) {
    using Element = std::remove_pointer_t<decltype(null)>;
    k.dropout(pointer<Element>(x_RC), drop_of(p, masks, T), x_RC.size(0), x_RC.size(1));
  });
}

}  // namespace weightscope::ops

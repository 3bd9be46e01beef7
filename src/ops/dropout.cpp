#include "ops/cuda/ops_cuda.hpp"
#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops {

void dropout(at::Tensor& x_RC, double p, const Philox& stream, std::int64_t first_row) {
  if (p == 0) return;
  if (cuda::serves(x_RC)) return cuda::dropout(x_RC, p, stream, first_row);
  if (!has_kernel(x_RC)) return reference::dropout(x_RC, p, stream, first_row);
  with_kernels(x_RC, [&](const auto& k, auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    k.dropout(pointer<T>(x_RC), drop_of(p, stream, first_row), x_RC.size(0), x_RC.size(1));
  });
}

}  // namespace weightscope::ops

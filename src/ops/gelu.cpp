#include "ops/cuda/ops_cuda.hpp"
#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops {

void gelu(const at::Tensor& x_RN, at::Tensor& y_RN, Gelu kind) {
  if (cuda::serves_rows(x_RN)) return cuda::gelu(x_RN, y_RN, kind);
  if (!has_kernel(x_RN)) return reference::gelu(x_RN, y_RN, kind);
  with_kernels(x_RN, [&](const auto& k, auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    k.gelu(pointer<T>(x_RN), pointer<T>(y_RN), x_RN.numel(), kind == Gelu::erf);
  });
}

void gelu_backward(const at::Tensor& x_RN, at::Tensor& dy_RN, at::Tensor db_N, Gelu kind, Write write) {
  if (cuda::serves_rows(x_RN)) return cuda::gelu_backward(x_RN, dy_RN, db_N, kind, write);
  if (!has_kernel(x_RN)) return reference::gelu_backward(x_RN, dy_RN, std::move(db_N), kind, write);
  with_kernels(x_RN, [&](const auto& k, auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    k.gelu_backward(pointer<T>(x_RN), pointer<T>(dy_RN), pointer<float>(db_N), kind == Gelu::erf,
                    write == Write::add, x_RN.size(0), x_RN.size(1));
  });
}

}  // namespace weightscope::ops

#include "ops/cuda/ops_cuda.hpp"
#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops {

void embedding(const at::Tensor& tokens_R, const at::Tensor& wte, const at::Tensor& wpe, std::int64_t T,
               at::Tensor& x_RC) {
  if (cuda::serves_rows(x_RC)) return cuda::embedding(tokens_R, wte, wpe, T, x_RC);
  if (!has_kernel(x_RC)) return reference::embedding(tokens_R, wte, wpe, T, x_RC);
  cpu::kernels().embedding(pointer<cpu::Index>(tokens_R), pointer<float>(wte), pointer<float>(wpe),
                           pointer<float>(x_RC), x_RC.size(0), T, x_RC.size(1));
}

void embedding_backward(const at::Tensor& dx_RC, const at::Tensor& tokens_R, std::int64_t T, at::Tensor dwte,
                        at::Tensor dwpe, Write write) {
  if (cuda::serves_rows(dx_RC)) return cuda::embedding_backward(dx_RC, tokens_R, T, dwte, dwpe, write);
  if (!has_kernel(dx_RC)) return reference::embedding_backward(dx_RC, tokens_R, T, dwte, dwpe, write);
  cpu::kernels().embedding_backward(pointer<float>(dx_RC), pointer<cpu::Index>(tokens_R),
                                    pointer<float>(dwte), pointer<float>(dwpe), write == Write::add,
                                    dx_RC.size(0), T, dx_RC.size(1), dwpe.size(0));
}

}  // namespace weightscope::ops

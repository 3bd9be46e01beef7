#include "ops/ops.hpp"
#include "ops/typed.hpp"

namespace weightscope::ops::reference {

void gelu(const at::Tensor& x_RN, at::Tensor& y_RN, Gelu kind) {
  at::gelu_out(y_RN, x_RN, kind == Gelu::erf ? "none" : "tanh");
}

void gelu_backward(const at::Tensor& x_RN, at::Tensor& dy_RN, at::Tensor db_N, Gelu kind, Write write) {
  const auto dx = at::gelu_backward(dy_RN, x_RN, kind == Gelu::erf ? "none" : "tanh");
  dy_RN.copy_(dx);
  if (db_N.defined())
    write_to(db_N, dx.sum(at::IntArrayRef{0}, false, db_N.scalar_type()), write == Write::add);
}

}  // namespace weightscope::ops::reference

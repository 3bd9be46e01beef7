#include "ops/cuda/ops_cuda.hpp"
#include "ops/gemm.hpp"
#include "ops/ops.hpp"
#include "ops/typed.hpp"
#include "ops/widened.hpp"

namespace weightscope::ops {
namespace {

/// The product of a chunk of output rows lands in bf16 scratch and goes to the fp32 gradient while it is in
/// the cache.
void weight_gradient_by_rows(const at::Tensor& dy_RN, const at::Tensor& x_RK, at::Tensor& dw_NK, Write write,
                             const at::Tensor& scratch) {
  const std::int64_t N = dy_RN.size(1), K = x_RK.size(1),
                     rows = std::min(N, std::max<std::int64_t>(1, scratch.numel() / K));
  for (std::int64_t from = 0; from < N; from += rows) {
    const std::int64_t count = std::min(rows, N - from);
    auto chunk = scratch.narrow(0, 0, count * K).view({count, K});
    auto out = dw_NK.narrow(0, from, count);
    at::mm_out(chunk, dy_RN.narrow(1, from, count).t(), x_RK);
    if (has_kernel(chunk) && out.is_contiguous())
      cpu::kernels().b16.add_to(pointer<cpu::bf16>(chunk), pointer<float>(out), write == Write::add,
                                count * K);
    else
      write_to(out, chunk, write == Write::add);
  }
}

}  // namespace

void linear(const at::Tensor& x_RK, const at::Tensor& w_NK, const at::Tensor& b_N, at::Tensor& y_RN,
            const Gemm& gemm) {
  if (cuda::serves_products(x_RK, w_NK.size(0))) return cuda::linear(x_RK, w_NK, b_N, y_RN);
  switch (gemm.choice.of({Product::forward, x_RK.size(0), x_RK.size(1), w_NK.size(0)})) {
    case GemmBackend::torch_onednn:
      if (b_N.defined()) y_RN.copy_(b_N.expand_as(y_RN));
      return onednn_product(x_RK, w_NK.t(), y_RN, b_N.defined());
    case GemmBackend::widened:
      return widened::linear(x_RK, w_NK, b_N, y_RN, gemm.wide);
    case GemmBackend::aten:
      if (b_N.defined())
        at::addmm_out(y_RN, b_N, x_RK, w_NK.t());
      else
        at::mm_out(y_RN, x_RK, w_NK.t());
  }
}

void linear_backward_input(const at::Tensor& dy_RN, const at::Tensor& w_NK, at::Tensor& dx_RK,
                           const Gemm& gemm) {
  if (cuda::serves_products(dy_RN, w_NK.size(1))) return cuda::linear_backward_input(dy_RN, w_NK, dx_RK);
  switch (gemm.choice.of({Product::input_gradient, dy_RN.size(0), w_NK.size(1), dy_RN.size(1)})) {
    case GemmBackend::torch_onednn:
      return onednn_product(dy_RN, w_NK, dx_RK, false);
    case GemmBackend::widened:
      return widened::input_gradient(dy_RN, w_NK, dx_RK, gemm.wide);
    case GemmBackend::aten:
      at::mm_out(dx_RK, dy_RN, w_NK);
  }
}

void linear_backward_weight(const at::Tensor& dy_RN, const at::Tensor& x_RK, at::Tensor dw_NK, Write write,
                            const Gemm& gemm) {
  if (cuda::serves_products(x_RK, dy_RN.size(1)) && dw_NK.scalar_type() == at::kFloat)
    return cuda::linear_backward_weight(dy_RN, x_RK, dw_NK, write);
  const bool add = write == Write::add;
  switch (gemm.choice.of({Product::weight_gradient, x_RK.size(0), x_RK.size(1), dy_RN.size(1)})) {
    case GemmBackend::torch_onednn:
      return onednn_product(dy_RN.t(), x_RK, dw_NK, add);
    case GemmBackend::widened:
      return widened::weight_gradient(dy_RN, x_RK, dw_NK, add, gemm.wide);
    case GemmBackend::aten:
      if (dy_RN.scalar_type() != dw_NK.scalar_type())
        weight_gradient_by_rows(dy_RN, x_RK, dw_NK, write, gemm.half);
      else if (add)
        at::addmm_out(dw_NK, dw_NK, dy_RN.t(), x_RK);
      else
        at::mm_out(dw_NK, dy_RN.t(), x_RK);
  }
}

void linear_gelu(const at::Tensor& x_RK, const at::Tensor& w_NK, const at::Tensor& b_N, at::Tensor& before_RN,
                 at::Tensor& y_RN, Gelu kind, const Gemm& gemm) {
  if (cuda::serves_gelu_products(x_RK, w_NK.size(0), kind))
    return cuda::linear_gelu(x_RK, w_NK, b_N, before_RN, y_RN);
  linear(x_RK, w_NK, b_N, before_RN, gemm);
  gelu(before_RN, y_RN, kind);
}

void linear_backward_input_gelu(const at::Tensor& dy_RN, const at::Tensor& w_NK, const at::Tensor& before_RK,
                                at::Tensor& dx_RK, at::Tensor db_K, Gelu kind, Write write,
                                const Gemm& gemm) {
  if (cuda::serves_gelu_products(dy_RN, w_NK.size(1), kind)) {
    cuda::linear_backward_input_gelu(dy_RN, w_NK, before_RK, dx_RK);
    if (db_K.defined()) bias_backward(dx_RK, std::move(db_K), write);
    return;
  }
  linear_backward_input(dy_RN, w_NK, dx_RK, gemm);
  gelu_backward(before_RK, dx_RK, std::move(db_K), kind, write);
}

void bias_backward(const at::Tensor& dy_RN, at::Tensor db_N, Write write) {
  if (cuda::serves_rows(dy_RN)) return cuda::bias_backward(dy_RN, db_N, write);
  if (!has_kernel(dy_RN)) return reference::bias_backward(dy_RN, std::move(db_N), write);
  with_kernels(dy_RN, [&](const auto& k, auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    k.column_sum(pointer<T>(dy_RN), pointer<float>(db_N), write == Write::add, dy_RN.size(0), dy_RN.size(1));
  });
}

namespace reference {
void bias_backward(const at::Tensor& dy_RN, at::Tensor db_N, Write write) {
  write_to(std::move(db_N), dy_RN.sum(at::IntArrayRef{0}, false, db_N.scalar_type()), write == Write::add);
}
}  // namespace reference
}  // namespace weightscope::ops

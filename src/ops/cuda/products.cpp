// Linear layers and attention on a GPU: cuBLASLt and cuDNN.
#include <ATen/ATen.h>

#include "ops/cuda/kernels.hpp"
#include "ops/cuda/ops_cuda.hpp"
#include "ops/cuda/workbench.hpp"

namespace weightscope::ops::cuda {
namespace {

constexpr std::size_t kWorkspace = std::size_t{64} << 20;

void multiply(const at::Tensor& on, const Product2D& product) {
  auto& bench = Workbench::of(on);
  bench.multiplier.run(product, bench.scratch(kWorkspace), kWorkspace, stream_of(on));
}

/// y = x · wᵀ as far as shapes go.
Product2D forward_product(const at::Tensor& x_RK, const at::Tensor& w_NK, at::Tensor& y_RN) {
  Product2D p;
  p.rows = x_RK.size(0), p.inner = x_RK.size(1), p.columns = w_NK.size(0);
  p.left = x_RK.data_ptr(), p.right = w_NK.data_ptr(), p.right_transposed = true;
  p.out = y_RN.data_ptr();
  return p;
}

/// dx = dy · w.
Product2D input_product(const at::Tensor& dy_RN, const at::Tensor& w_NK, at::Tensor& dx_RK) {
  Product2D p;
  p.rows = dy_RN.size(0), p.inner = dy_RN.size(1), p.columns = w_NK.size(1);
  p.left = dy_RN.data_ptr(), p.right = w_NK.data_ptr();
  p.out = dx_RK.data_ptr();
  return p;
}

CudnnAttention::Shape shape_of(const at::Tensor& qkv, const Attention& a) {
  return {a.batch, qkv.size(0) / a.batch, a.heads, qkv.size(1) / (3 * a.heads), a.scale};
}

bool cudnn_serves(const at::Tensor& qkv, const Attention& a) {
  return qkv.scalar_type() == at::kBFloat16 && a.dropout == 0 &&
         CudnnAttention::serves(qkv.size(1) / (3 * a.heads), Workbench::of(qkv).capability);
}

void* attention_space(Workbench& bench, const CudnnAttention::Shape& shape) {
  return bench.scratch(std::max<std::size_t>(kWorkspace, bench.attention.workspace_bytes(shape)));
}

}  // namespace

bool serves_products(const at::Tensor& x_RK, std::int64_t N) {
  return x_RK.is_cuda() && x_RK.scalar_type() == at::kBFloat16 && x_RK.size(0) % 8 == 0 &&
         x_RK.size(1) % 8 == 0 && N % 8 == 0;
}

bool serves_gelu_products(const at::Tensor& x_RK, std::int64_t N, Gelu kind) {
  return kind == Gelu::tanh && serves_products(x_RK, N);
}

void linear(const at::Tensor& x_RK, const at::Tensor& w_NK, const at::Tensor& b_N, at::Tensor& y_RN) {
  auto p = forward_product(x_RK, w_NK, y_RN);
  if (b_N.defined()) p.epilogue = Epilogue::bias, p.bias = b_N.data_ptr();
  multiply(x_RK, p);
}

void linear_gelu(const at::Tensor& x_RK, const at::Tensor& w_NK, const at::Tensor& b_N, at::Tensor& before_RN,
                 at::Tensor& y_RN) {
  auto p = forward_product(x_RK, w_NK, y_RN);
  p.epilogue = Epilogue::gelu, p.aux = before_RN.data_ptr();
  if (b_N.defined()) p.bias = b_N.data_ptr();
  multiply(x_RK, p);
}

void linear_backward_input(const at::Tensor& dy_RN, const at::Tensor& w_NK, at::Tensor& dx_RK) {
  multiply(dy_RN, input_product(dy_RN, w_NK, dx_RK));
}

void linear_backward_input_gelu(const at::Tensor& dy_RN, const at::Tensor& w_NK, const at::Tensor& before_RK,
                                at::Tensor& dx_RK) {
  auto p = input_product(dy_RN, w_NK, dx_RK);
  p.epilogue = Epilogue::gelu_slope, p.aux = before_RK.data_ptr();
  multiply(dy_RN, p);
}

void linear_backward_weight(const at::Tensor& dy_RN, const at::Tensor& x_RK, at::Tensor& dw_NK, Write write) {
  Product2D p;
  p.rows = dy_RN.size(1), p.inner = dy_RN.size(0), p.columns = x_RK.size(1);
  p.left = dy_RN.data_ptr(), p.left_transposed = true, p.right = x_RK.data_ptr();
  p.out = dw_NK.data_ptr(), p.out_is_float = true, p.add = write == Write::add;
  multiply(dy_RN, p);
}

void attention(const at::Tensor& qkv, at::Tensor& out, at::Tensor& lse, const Attention& a) {
  if (!cudnn_serves(qkv, a)) return tiled_attention(qkv, out, lse, a);
  auto& bench = Workbench::of(qkv);
  const auto shape = shape_of(qkv, a);
  bench.attention.forward(shape, qkv.data_ptr(), out.data_ptr(), data<float>(lse),
                          attention_space(bench, shape), stream_of(qkv));
}

void attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                        const at::Tensor& lse, at::Tensor& dqkv, const Attention& a) {
  if (!cudnn_serves(qkv, a)) return tiled_attention_backward(dout, qkv, out, lse, dqkv, a);
  auto& bench = Workbench::of(qkv);
  const auto shape = shape_of(qkv, a);
  bench.attention.backward(shape, dout.data_ptr(), qkv.data_ptr(), out.data_ptr(), data<float>(lse),
                           dqkv.data_ptr(), attention_space(bench, shape), stream_of(qkv));
}

}  // namespace weightscope::ops::cuda

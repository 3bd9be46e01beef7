#pragma once
// The operators of ops/ops.hpp on CUDA tensors: ops_cuda.cpp, or ops_stub.cpp, which serves nothing.
#include "ops/ops.hpp"

namespace weightscope::ops::cuda {

/// f32 or bf16 on a GPU.
bool serves(const at::Tensor& work);
/// What serves() and has rows that the kernels can cut up: a multiple of 8 elements.
bool serves_rows(const at::Tensor& work);
/// Products of bf16 matrices whose sizes are multiples of 8: cuBLASLt.
bool serves_products(const at::Tensor& x_RK, std::int64_t N);
/// Products with GELU inside: the tanh approximation.
bool serves_gelu_products(const at::Tensor& x_RK, std::int64_t N, Gelu kind);
/// What serves() and has heads of up to 256 elements.
bool serves_heads(const at::Tensor& qkv, std::int64_t heads);

void linear(const at::Tensor& x_RK, const at::Tensor& w_NK, const at::Tensor& b_N, at::Tensor& y_RN);
void linear_gelu(const at::Tensor& x_RK, const at::Tensor& w_NK, const at::Tensor& b_N, at::Tensor& before_RN,
                 at::Tensor& y_RN);
void linear_backward_input(const at::Tensor& dy_RN, const at::Tensor& w_NK, at::Tensor& dx_RK);
void linear_backward_input_gelu(const at::Tensor& dy_RN, const at::Tensor& w_NK, const at::Tensor& before_RK,
                                at::Tensor& dx_RK);
void linear_backward_weight(const at::Tensor& dy_RN, const at::Tensor& x_RK, at::Tensor& dw_NK, Write write);
void bias_backward(const at::Tensor& dy_RN, at::Tensor& db_N, Write write);
void residual_layer_norm(const at::Tensor& residual_RC, const at::Tensor& branch_RC, at::Tensor& s_RC,
                         const at::Tensor& w_C, const at::Tensor& b_C, at::Tensor& y_RC, at::Tensor& mean_R,
                         at::Tensor& rstd_R);
void layer_norm_backward(const at::Tensor& dy_RC, const at::Tensor& s_RC, const at::Tensor& mean_R,
                         const at::Tensor& rstd_R, const at::Tensor& w_C, at::Tensor& ds_RC, Write onto,
                         at::Tensor& ds_work_RC, at::Tensor& dw_C, at::Tensor& db_C, at::Tensor& ds_sum_C,
                         Write write);
void gelu(const at::Tensor& x_RN, at::Tensor& y_RN, Gelu kind);
void gelu_backward(const at::Tensor& x_RN, at::Tensor& dy_RN, at::Tensor& db_N, Gelu kind, Write write);
void qk_norm(at::Tensor& qkv_R3C, at::Tensor& raw_R2C, const QkNorm& norm, std::int64_t heads);
void qk_norm_backward(at::Tensor& dqkv_R3C, const at::Tensor& raw_R2C, const QkNorm& norm,
                      const QkNorm& gradients, std::int64_t heads, Write write);
/// Through cuDNN, or through tiled_attention where it has no kernel and where weights are dropped.
void attention(const at::Tensor& qkv, at::Tensor& out, at::Tensor& lse, const Attention& shape);
void attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                        const at::Tensor& lse, at::Tensor& dqkv, const Attention& shape);
void tiled_attention(const at::Tensor& qkv, at::Tensor& out, at::Tensor& lse, const Attention& shape);
void tiled_attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                              const at::Tensor& lse, at::Tensor& dqkv, const Attention& shape);
void cross_entropy(at::Tensor& logits, const at::Tensor& targets_R, std::int64_t vocab, double dscale,
                   at::Tensor& loss_sum);
void embedding(const at::Tensor& tokens_R, const at::Tensor& wte, const at::Tensor& wpe, std::int64_t T,
               at::Tensor& x_RC);
void embedding_backward(const at::Tensor& dx_RC, const at::Tensor& tokens_R, std::int64_t T, at::Tensor& dwte,
                        at::Tensor& dwpe, Write write);
void dropout(at::Tensor& x_RC, double p, const Masks& masks, std::int64_t T);
at::Tensor sum_of_squares(const at::Tensor& x);

}  // namespace weightscope::ops::cuda

#pragma once
// The operators of one GPT training step, forward and backward, as plain functions on preallocated tensors.
//
// Shapes: B batch rows, T tokens, R = B·T, C width, H heads, D = C / H, V vocabulary (padded to Vp), K, N
// in/out features. Every operator exists three times: a fused CPU kernel (ops/cpu, f32 and bf16), one for
// GPUs (ops/cuda, the same types), and a plain LibTorch version in ops::reference that the others are tested
// against. The reference also serves every case that has no kernel: float64, and on GPUs heads wider than 256
// and rows that are no multiple of 8.
//
// "work" tensors are f32, bf16 or f64 (activations and the weights that GEMMs read); "full" tensors are f32,
// or f64 when work is f64 (residual stream, statistics, gradients, master weights).
#include <ATen/core/Tensor.h>

#include <limits>
#include <span>
#include <vector>

#include "core/philox.hpp"
#include "ops/drop.hpp"
#include "ops/gemm.hpp"

namespace weightscope::ops {

/// Whether a gradient replaces what its destination held (first micro-batch) or is added to it.
enum class Write { assign, add };
enum class Gelu { tanh, erf };

/// From now on every operator gives the same bits for the same input on one kind of GPU with the same
/// libraries: attention adds gradients in a fixed order, and products take the first algorithm that the
/// library proposes instead of the fastest, which a restart may time otherwise. For the whole process, before
/// the first operator runs; CPU kernels always repeat.
void repeat_exactly();

/// y_RN = x_RK · w_NKᵀ + b_N; b may be undefined. All work.
void linear(const at::Tensor& x_RK, const at::Tensor& w_NK, const at::Tensor& b_N, at::Tensor& y_RN,
            const Gemm& gemm);
/// dx_RK = dy_RN · w_NK. All work.
void linear_backward_input(const at::Tensor& dy_RN, const at::Tensor& w_NK, at::Tensor& dx_RK,
                           const Gemm& gemm);
/// dw_NK (full) = or += dy_RNᵀ · x_RK.
void linear_backward_weight(const at::Tensor& dy_RN, const at::Tensor& x_RK, at::Tensor dw_NK, Write write,
                            const Gemm& gemm);
/// before_RN = x_RK · w_NKᵀ + b_N, y_RN = GELU(before_RN): one pass where the product can do both.
void linear_gelu(const at::Tensor& x_RK, const at::Tensor& w_NK, const at::Tensor& b_N, at::Tensor& before_RN,
                 at::Tensor& y_RN, Gelu kind, const Gemm& gemm);
/// Back through the layer that follows and through its GELU: dx_RK = (dy_RN · w_NK) · GELU'(before_RK); db_K
/// (full, may be undefined) = or += its column sums.
void linear_backward_input_gelu(const at::Tensor& dy_RN, const at::Tensor& w_NK, const at::Tensor& before_RK,
                                at::Tensor& dx_RK, at::Tensor db_K, Gelu kind, Write write, const Gemm& gemm);
/// db_N (full) = or += column sums of dy_RN.
void bias_backward(const at::Tensor& dy_RN, at::Tensor db_N, Write write);

/// s_RC = residual_RC + branch_RC (s may be residual itself; without branch s = residual, nothing is
/// written), y_RC = LayerNorm(s; w, b) as work; mean_R, rstd_R kept for backward. eps = 1e-5. b may be
/// undefined.
void residual_layer_norm(const at::Tensor& residual_RC, const at::Tensor& branch_RC, at::Tensor& s_RC,
                         const at::Tensor& w_C, const at::Tensor& b_C, at::Tensor& y_RC, at::Tensor& mean_R,
                         at::Tensor& rstd_R);
/// ds_RC (full) = or += the gradient of LayerNorm's input (`onto` tells which); db16_RC (work) = ds as the
/// next GEMM reads it, skipped when it is ds itself. dw_C, db_C (full, db may be undefined) = or +=. ds_sum_C
/// (full, may be undefined) = or += the column sums of ds: the gradient of the bias of whatever was added
/// last.
void layer_norm_backward(const at::Tensor& dy_RC, const at::Tensor& s_RC, const at::Tensor& mean_R,
                         const at::Tensor& rstd_R, const at::Tensor& w_C, at::Tensor& ds_RC, Write onto,
                         at::Tensor& ds_work_RC, at::Tensor dw_C, at::Tensor db_C, at::Tensor ds_sum_C,
                         Write write);

/// LayerNorm of each query and key over its head's D features, before attention (Dehghani et al. 2023,
/// arXiv:2302.05442, section 2.1): the q and k parts of qkv_R3C [B·T, 3C] are replaced in place, v stays.
/// One gain and bias for all heads: w_D, b_D (full, b may be undefined). eps = 1e-5.
struct QkNorm {
  at::Tensor q_w_D, q_b_D, k_w_D, k_b_D;
};
/// raw_R2C (work, may be undefined): what q and k were before, for backward.
void qk_norm(at::Tensor& qkv_R3C, at::Tensor& raw_R2C, const QkNorm& norm, std::int64_t heads);
/// The q and k parts of dqkv_R3C become the gradients of raw_R2C. `gradients` (full) = or +=.
void qk_norm_backward(at::Tensor& dqkv_R3C, const at::Tensor& raw_R2C, const QkNorm& norm,
                      const QkNorm& gradients, std::int64_t heads, Write write);

/// y = GELU(x), Hendrycks & Gimpel 2016: erf, or the tanh approximation of GPT-2.
void gelu(const at::Tensor& x_RN, at::Tensor& y_RN, Gelu kind);
/// dy_RN becomes dx_RN = dy · GELU'(x); db_N (full, may be undefined) = or += its column sums.
void gelu_backward(const at::Tensor& x_RN, at::Tensor& dy_RN, at::Tensor db_N, Gelu kind, Write write);

/// Causal attention, softmax(scale · q·kᵀ/√D + mask)·v per head, over the fused projection: qkv [B·T, 3C],
/// out [B·T, C]. lse [B, H, T] (full) is kept for backward. `dropout` drops attention weights; element
/// (h, i, j) of a sample's mask is element (h·T + i, j) of its part of the stream.
struct Attention {
  std::int64_t batch = 1, heads = 1;
  double dropout = 0;
  Masks masks{};
  double scale = 1;  ///< of the logits, on top of 1/√D
};
/// Of its weights, query by query: row (b·H + h)·T + i.
Drop drop_of(const Attention& shape, std::int64_t T);
void attention(const at::Tensor& qkv, at::Tensor& out, at::Tensor& lse, const Attention& shape);
/// dqkv [B·T, 3C] from dout [B·T, C] and what forward read and wrote.
void attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                        const at::Tensor& lse, at::Tensor& dqkv, const Attention& shape);

/// Of the logits scale · q·kᵀ/√D of one head, over all keys that each query may see: the largest (NaN if one
/// is), Σ logit², and Σ over queries of the entropy of their attention weights, −Σ p ln p [nats].
struct HeadLogits {
  double max = -std::numeric_limits<double>::infinity(), sum_of_squares = 0, entropy = 0;
};
/// Of every head of one sample, qkv [T, 3C] as attention reads it. Logits in full precision (f32 for bf16),
/// sums in double. Through LibTorch on any device; allocates, a few megabytes at a time.
std::vector<HeadLogits> attention_logits(const at::Tensor& qkv_T3C, std::int64_t heads, double scale = 1);
/// The most that it takes.
std::int64_t attention_logits_bytes(std::int64_t tokens, std::int64_t heads, std::int64_t width);

/// loss_sum[0] (f64) += Σ over rows of −log softmax(logits)[target], the softmax over the first `vocab`
/// columns of logits [R, Vp]. With dscale != 0 logits become their gradient: (softmax − onehot) · dscale,
/// zero beyond vocab.
void cross_entropy(at::Tensor& logits, const at::Tensor& targets_R, std::int64_t vocab, double dscale,
                   at::Tensor& loss_sum);

/// x_RC (full) = wte[token] + wpe[position]; wte, wpe full. R = B·T, positions restart every T rows.
void embedding(const at::Tensor& tokens_R, const at::Tensor& wte, const at::Tensor& wpe, std::int64_t T,
               at::Tensor& x_RC);
/// Deterministic scatter: dwte (full) += per token; dwpe (full) = or += per position, rows beyond T zero on
/// assign.
void embedding_backward(const at::Tensor& dx_RC, const at::Tensor& tokens_R, std::int64_t T, at::Tensor dwte,
                        at::Tensor dwpe, Write write);

/// x_RC *= mask / (1 − p) in place; a sample has T rows. The backward pass is the same call on the
/// gradient.
void dropout(at::Tensor& x_RC, double p, const Masks& masks, std::int64_t T);
/// Whether attention over such a projection, and dropout beside it, are kernels that read Masks::on_device.
bool draws_on_device(const at::Tensor& qkv_R3C, std::int64_t heads);

/// Σ x² in double, in fixed blocks of 16384 elements: the same bits for any number of threads. Returns a [1]
/// f64 tensor.
at::Tensor sum_of_squares(const at::Tensor& x);

/// The same sum block by block: squares[i] for block i of x. CPU, float32.
constexpr std::int64_t kSquareBlock = 16384;
void squares_of_blocks(const at::Tensor& x, std::span<double> squares);
/// out = Σ parts, added as one binary tree over their order, whatever the number of threads; out may be one
/// of them. squares as above, of the sum. CPU, float32, all of the same size.
void sum_parts(std::span<const at::Tensor> parts, at::Tensor out, std::span<double> squares);

/// One AdamW update (Loshchilov & Hutter 2019) of n elements; g is scaled by grad_scale first. work_copy may
/// be undefined.
struct AdamW {
  double lr = 0, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0, grad_scale = 1;
  std::int64_t step = 1;  ///< 1 for the first update: bias correction
  double step_scale = 1;  ///< of the step, not of the decay, which stays lr · weight_decay
};
/// With delta2 defined ([1] f64), adds Σ (Δw)² to it.
void adamw(at::Tensor w, const at::Tensor& g, at::Tensor m, at::Tensor v, at::Tensor work_copy,
           const AdamW& h, at::Tensor delta2);

namespace reference {
void residual_layer_norm(const at::Tensor&, const at::Tensor&, at::Tensor&, const at::Tensor&,
                         const at::Tensor&, at::Tensor&, at::Tensor&, at::Tensor&);
void layer_norm_backward(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                         const at::Tensor&, at::Tensor&, Write, at::Tensor&, at::Tensor, at::Tensor,
                         at::Tensor, Write);
void qk_norm(at::Tensor&, at::Tensor&, const QkNorm&, std::int64_t);
void qk_norm_backward(at::Tensor&, const at::Tensor&, const QkNorm&, const QkNorm&, std::int64_t, Write);
void bias_backward(const at::Tensor&, at::Tensor, Write);
void gelu(const at::Tensor&, at::Tensor&, Gelu);
void gelu_backward(const at::Tensor&, at::Tensor&, at::Tensor, Gelu, Write);
void attention(const at::Tensor&, at::Tensor&, at::Tensor&, const Attention&);
void attention_backward(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                        at::Tensor&, const Attention&);
void cross_entropy(at::Tensor&, const at::Tensor&, std::int64_t, double, at::Tensor&);
void embedding(const at::Tensor&, const at::Tensor&, const at::Tensor&, std::int64_t, at::Tensor&);
void embedding_backward(const at::Tensor&, const at::Tensor&, std::int64_t, at::Tensor, at::Tensor, Write);
void dropout(at::Tensor&, double, const Masks&, std::int64_t);
at::Tensor sum_of_squares(const at::Tensor&);
void adamw(at::Tensor, const at::Tensor&, at::Tensor, at::Tensor, at::Tensor, const AdamW&, at::Tensor);
}  // namespace reference
}  // namespace weightscope::ops

// One transformer block, forward and backward: the part of Gpt that repeats.
#include <ATen/ATen.h>

#include "model/gpt.hpp"

namespace weightscope {
namespace {

ops::Gelu gelu_of(const ModelConfig& model) {
  return model.activation == Activation::gelu ? ops::Gelu::erf : ops::Gelu::tanh;
}

}  // namespace

ops::Attention Gpt::attention_shape(int layer, const MicroBatch& batch) const {
  return {batch_, model_.heads, batch.dropout ? model_.dropout : 0.0, masks(batch, "attention", layer),
          attention_scale()};
}

/// Up to the residual stream between the two halves. branch_RC (may be undefined): the previous block's MLP,
/// still to be added.
void Gpt::forward_attention(int layer, const at::Tensor& residual_RC, const at::Tensor& branch_RC,
                            const MicroBatch& batch) {
  auto& a = now_.blocks[static_cast<std::size_t>(layer)];
  const auto& p = blocks_[static_cast<std::size_t>(layer)];
  ops::residual_layer_norm(residual_RC, branch_RC, a.input_RC, p.ln_1.w, p.ln_1.b, a.ln_1_RC, a.mean_1_R,
                           a.rstd_1_R);
  ops::linear(a.ln_1_RC, p.c_attn.w, p.c_attn.b, a.qkv_R3C, gemm_);
  if (model_.qk_norm) ops::qk_norm(a.qkv_R3C, a.raw_R2C, p.qk_norm, model_.heads);
  ops::attention(a.qkv_R3C, a.attention_RC, a.lse_BHT, attention_shape(layer, batch));
  ops::linear(a.attention_RC, p.attn_proj.w, p.attn_proj.b, now_.branch_RC, gemm_);
  drop(now_.branch_RC, batch, "attn", layer);
  ops::residual_layer_norm(a.input_RC, now_.branch_RC, a.middle_RC, p.ln_2.w, p.ln_2.b, a.ln_2_RC, a.mean_2_R,
                           a.rstd_2_R);
}

/// Up to the activation of the MLP, whose projection the caller adds.
void Gpt::forward_mlp(int layer) {
  auto& a = now_.blocks[static_cast<std::size_t>(layer)];
  const auto& p = blocks_[static_cast<std::size_t>(layer)];
  ops::linear_gelu(a.ln_2_RC, p.c_fc.w, p.c_fc.b, a.hidden_R4C, a.gelu_R4C, gelu_of(model_), gemm_);
}

/// The bias whose gradient is that of the residual stream, summed: none when dropout lies between them.
at::Tensor Gpt::branch_bias(const MicroBatch& batch, const Linear& projection) const {
  return batch.dropout && model_.dropout > 0 ? at::Tensor() : projection.db;
}

/// The gradient that enters a branch: that of the residual stream, through the branch's dropout; then the
/// bias of its projection gets its gradient here.
at::Tensor& Gpt::branch_gradient(const MicroBatch& batch, const char* site, int layer, const at::Tensor& db,
                                 ops::Write write) {
  if (batch.dropout && model_.dropout > 0) {
    now_.d_branch_RC.copy_(now_.d_residual_RC);
    drop(now_.d_branch_RC, batch, site, layer);
    if (db.defined()) ops::bias_backward(now_.d_branch_RC, db, write);
  }
  return now_.d_branch_RC;
}

void Gpt::backward_linear(const Linear& p, const at::Tensor& dy_RN, const at::Tensor& x_RK, at::Tensor& dx_RK,
                          ops::Write write) {
  ops::linear_backward_weight(dy_RN, x_RK, p.dw, write, gemm_);
  ops::linear_backward_input(dy_RN, p.w, dx_RK, gemm_);
}

void Gpt::backward_block(int layer, const MicroBatch& batch, ops::Write write) {
  auto& a = now_.blocks[static_cast<std::size_t>(layer)];
  const auto& p = blocks_[static_cast<std::size_t>(layer)];
  const std::int64_t C = model_.width;
  if (recompute_) {
    forward_attention(layer, a.input_RC, at::Tensor(), batch);
    forward_mlp(layer);
  }
  // MLP: d_branch_RC is the gradient of mlp_proj's output.
  auto d_hidden_R4C = now_.d_wide_R4C.flatten().narrow(0, 0, a.hidden_R4C.numel()).view(a.hidden_R4C.sizes());
  auto& d_mlp_RC = branch_gradient(batch, "mlp", layer, p.mlp_proj.db, write);
  ops::linear_backward_weight(d_mlp_RC, a.gelu_R4C, p.mlp_proj.dw, write, gemm_);
  ops::linear_backward_input_gelu(d_mlp_RC, p.mlp_proj.w, a.hidden_R4C, d_hidden_R4C, p.c_fc.db,
                                  gelu_of(model_), write, gemm_);
  backward_linear(p.c_fc, d_hidden_R4C, a.ln_2_RC, now_.d_narrow_RC, write);
  ops::layer_norm_backward(now_.d_narrow_RC, a.middle_RC, a.mean_2_R, a.rstd_2_R, p.ln_2.w,
                           now_.d_residual_RC, ops::Write::add, now_.d_branch_RC, p.ln_2.dw, p.ln_2.db,
                           branch_bias(batch, p.attn_proj), write);
  // Attention.
  auto d_qkv_R3C = now_.d_wide_R4C.flatten().narrow(0, 0, a.qkv_R3C.numel()).view({a.qkv_R3C.size(0), 3 * C});
  auto& d_attn_RC = branch_gradient(batch, "attn", layer, p.attn_proj.db, write);
  backward_linear(p.attn_proj, d_attn_RC, a.attention_RC, now_.d_narrow_RC, write);
  ops::attention_backward(now_.d_narrow_RC, a.qkv_R3C, a.attention_RC, a.lse_BHT, d_qkv_R3C,
                          attention_shape(layer, batch));
  if (model_.qk_norm)
    ops::qk_norm_backward(d_qkv_R3C, a.raw_R2C, p.qk_norm, p.d_qk_norm, model_.heads, write);
  if (p.c_attn.db.defined()) ops::bias_backward(d_qkv_R3C, p.c_attn.db, write);
  backward_linear(p.c_attn, d_qkv_R3C, a.ln_1_RC, now_.d_narrow_RC, write);
  ops::layer_norm_backward(
      now_.d_narrow_RC, a.input_RC, a.mean_1_R, a.rstd_1_R, p.ln_1.w, now_.d_residual_RC, ops::Write::add,
      now_.d_branch_RC, p.ln_1.dw, p.ln_1.db,
      layer == 0 ? at::Tensor() : branch_bias(batch, blocks_[static_cast<std::size_t>(layer) - 1].mlp_proj),
      write);
}

}  // namespace weightscope

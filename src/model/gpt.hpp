#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/activations.hpp"
#include "model/param_store.hpp"
#include "ops/ops.hpp"

namespace weightscope {

/// One micro-batch on the model's device. Tokens and targets: int64 [B·T], rows of a sample contiguous.
struct MicroBatch {
  at::Tensor tokens_R, targets_R;
  std::int64_t batch = 1, T = 1;
  std::int64_t first_row = 0;  ///< global index of the first sample: dropout masks follow samples, not ranks
  std::uint64_t dropout_seed = 0;  ///< of (seed, step)
  bool dropout = false;
  const ops::MaskOrigin* mask_origin = nullptr;  ///< mask_origin_of() in device memory: ops::Masks::on_device
};
ops::MaskOrigin mask_origin_of(const MicroBatch& batch);

/// GPT-2 (Radford et al. 2019): learned positions, pre-LayerNorm blocks, fused c_attn, GELU, tied or untied
/// head. Forward and backward are written by hand over preallocated buffers: no autograd, nothing allocated
/// in the steady state.
///
/// A training micro-batch is: forward, backward_head, backward_block(L−1 … 0), backward_embedding. After each
/// of the backward calls, the gradients of all parameters up to final_offset(…) of the flat buffer are final.
class Gpt {
 public:
  /// At most `rows` tokens (B·T) a call, T <= model.block. Borrows the store, which must outlive it.
  Gpt(const ModelConfig& model, const ParamStore& store, std::int64_t rows, Purpose purpose, bool recompute);

  /// Who multiplies from now on; aten for everything at first.
  void use(ops::GemmChoice choice) { gemm_.choice = std::move(choice); }
  const ops::Gemm& gemm() const { return gemm_; }

  /// Embedding, all blocks, final LayerNorm.
  void forward(const MicroBatch& batch);
  /// The same in parts, for whoever looks at what lies between: embedding, block 0 … L−1, output.
  void forward_embedding(const MicroBatch& batch);
  void forward_block(int layer, const MicroBatch& batch);
  void forward_output();
  /// Right after forward_block(layer): q, k, v as attention read them, [B·T, 3C] (work).
  const at::Tensor& qkv(int layer) const { return now_.blocks[static_cast<std::size_t>(layer)].qkv_R3C; }
  /// Right after forward_block(layer): the residual stream that entered it, [B·T, C] (full). layer = L: what
  /// left the last block, after forward_output.
  const at::Tensor& residual(int layer) const {
    return layer == model_.layers ? now_.output_RC : now_.blocks[static_cast<std::size_t>(layer)].input_RC;
  }
  /// Adds the summed negative log-likelihood of the forward pass to loss_sum().
  void evaluate(const MicroBatch& batch);
  /// The same, and starts backward: dscale is the weight of one token in the objective, 1 / tokens of the
  /// global batch for a mean. Writes the gradients of the head and the final LayerNorm.
  void backward_head(const MicroBatch& batch, double dscale, ops::Write write);
  void backward_block(int layer, const MicroBatch& batch, ops::Write write);
  void backward_embedding(const MicroBatch& batch, ops::Write write);

  /// Right after forward_block(layer): the residual stream between its attention and its MLP, [B·T, C]
  /// (full), and what the MLP adds to it, [B·T, C] (work).
  const at::Tensor& middle(int layer) const { return now_.blocks[static_cast<std::size_t>(layer)].middle_RC; }
  const at::Tensor& mlp_output() const { return now_.branch_RC; }

  /// [B·T, V], of the last forward pass; allocates.
  at::Tensor logits() const;
  /// [1] f64 on the device: Σ −log p(target) since it was last zeroed.
  const at::Tensor& loss_sum() const { return whole_.loss_sum; }

  /// Elements of the flat gradient that are final after backward_head (layer = L), backward_block(layer),
  /// backward_embedding (−1).
  std::int64_t final_offset(int layer) const;
  const ModelConfig& config() const { return model_; }
  /// Whether MicroBatch::mask_origin is what decides over masks, so that a micro-batch can be replayed for
  /// another.
  bool draws_on_device() const;
  /// What attention logits are multiplied by on top of 1/√D (muP).
  double attention_scale() const { return attention_scale_; }

 private:
  struct Linear {
    at::Tensor w, b, dw, db;  // work, work; full, full. b, db undefined without bias
  };
  struct Norm {
    at::Tensor w, b, dw, db;  // full
  };
  struct Block {
    Norm ln_1;
    Linear c_attn, attn_proj;
    ops::QkNorm qk_norm, d_qk_norm;  // full; undefined without model.qk_norm
    Norm ln_2;
    Linear c_fc, mlp_proj;
  };
  Linear linear_views(const std::string& name) const;
  Norm norm_views(const std::string& name) const;
  Block block_views(const std::string& name) const;
  ops::Attention attention_shape(int layer, const MicroBatch& batch) const;
  ops::Masks masks(const MicroBatch& batch, const char* site, int layer) const;
  void drop(at::Tensor& x_RC, const MicroBatch& batch, const char* site, int layer) const;
  void forward_attention(int layer, const at::Tensor& residual_RC, const at::Tensor& branch_RC,
                         const MicroBatch& batch);
  void forward_mlp(int layer);
  void backward_linear(const Linear& p, const at::Tensor& dy_RN, const at::Tensor& x_RK, at::Tensor& dx_RK,
                       ops::Write write);
  at::Tensor branch_bias(const MicroBatch& batch, const Linear& projection) const;
  at::Tensor& branch_gradient(const MicroBatch& batch, const char* site, int layer, const at::Tensor& db,
                              ops::Write write);
  void head_logits(std::int64_t from, std::int64_t count, at::Tensor& logits) const;

  ModelConfig model_;
  double attention_scale_, logit_scale_;  ///< muP's; 1 otherwise
  const ParamStore* store_;
  bool recompute_;
  Activations whole_, now_;
  ops::Gemm gemm_;
  std::int64_t batch_ = 0, T_ = 0;
  std::vector<Block> blocks_;
  Norm ln_f_;
  at::Tensor wte_, wpe_, dwte_, dwpe_;  // full
  at::Tensor head_, dhead_;             // work [Vp, C]; full
};

}  // namespace weightscope

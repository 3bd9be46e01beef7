#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "model/param_store.hpp"

namespace weightscope {

/// What backward needs of one block. R = B·T rows. full: f32 (f64 in tests); work: the GEMM type.
struct BlockActivations {
  at::Tensor input_RC;                        ///< full: residual stream entering the block
  at::Tensor ln_1_RC, mean_1_R, rstd_1_R;     ///< work; full
  at::Tensor qkv_R3C, attention_RC, lse_BHT;  ///< work; lse full
  at::Tensor middle_RC;                       ///< full: residual stream between attention and MLP
  at::Tensor ln_2_RC, mean_2_R, rstd_2_R;
  at::Tensor hidden_R4C, gelu_R4C;  ///< work: before and after GELU
  at::Tensor raw_R2C;               ///< work: q and k before qk_norm; training with it only
};

/// Every buffer of a forward and backward pass over at most B × T tokens, allocated once and reused by every
/// step.
struct Activations {
  std::vector<BlockActivations> blocks;  ///< one per layer; with recompute they share everything but input_RC
  at::Tensor output_RC, ln_f_RC, mean_f_R, rstd_f_R;
  at::Tensor branch_RC;  ///< work: what a block's half adds to the residual stream
  at::Tensor logits_RV;  ///< work: a chunk of rows, vocabulary padded
  at::Tensor loss_sum;   ///< [1] f64
  // Backward only:
  at::Tensor d_residual_RC;  ///< full: gradient of the residual stream
  at::Tensor d_branch_RC;    ///< work: the same as the next GEMM reads it; aliases d_residual_RC when it may
  at::Tensor d_narrow_RC, d_wide_R4C;  ///< work
  at::Tensor half_scratch;             ///< work: chunks of bf16 weight gradients; undefined otherwise
  at::Tensor wide_scratch;             ///< f32: blocks of widened bf16 operands; touched only when they are
};

enum class Purpose { training, evaluation };

/// With Place::meta nothing is allocated, and `meant` says for which device it is planned.
Activations plan_activations(const ModelConfig& model, Types types, DevicePlace place, std::int64_t rows,
                             Purpose purpose, bool recompute, Place meant);

/// The same buffers cut to `rows` rows and lse to [batch, H, T].
Activations cut(const Activations& whole, std::int64_t batch, std::int64_t T);

/// Rows of logits computed at a time: all of them, unless they would take more than 256 MiB (2 GiB on a GPU);
/// then in parts of about the same size.
std::int64_t logit_rows(const ModelConfig& model, Types types, Place place, std::int64_t rows);

}  // namespace weightscope

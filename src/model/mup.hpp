#pragma once
#include "config/run_config.hpp"

namespace weightscope {

// The maximal update parametrization (muP) for AdamW: Yang et al. 2022, "Tensor Programs V",
// arXiv:2203.03466, table 8, relative to a base width C0 at which all of these are 1. C0 = 0 (no muP) gives 1
// as well. The fourth part, standard deviations, is init.scheme: mup. What is not named here does not change
// with the width: embeddings (a tied one included: it is read as an input weight, and the logit scale makes
// the readout right), biases, LayerNorm gains, the head, weight decay, AdamW's eps.

/// C0/C.
double mup_base_ratio(const ModelConfig& model);
/// Of the learning rate: C0/C for matrices whose both sides grow with the width.
double mup_lr_scale(const ModelConfig& model, ParameterKind kind);
/// Of the logits: C0/C, because they are a sum over C that training correlates.
double mup_logit_scale(const ModelConfig& model);
/// Of the attention logits, on top of 1/√D: √(D0/D), so that they go with 1/D.
double mup_attention_scale(const ModelConfig& model);

}  // namespace weightscope

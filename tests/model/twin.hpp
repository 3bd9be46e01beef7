#pragma once
// The autograd twin: GPT-2 as torch::nn modules, written for clarity, sharing nothing with src/model but the
// names of its parameters. Every hand-written gradient is compared with what autograd gives here.
// Not torch/torch.h, of which this is a tenth.
#include <torch/nn/functional/loss.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "core/philox.hpp"
#include "model/gpt.hpp"

namespace weightscope {

/// Dropout with the masks of the program, by its definition: element (row, column) of a counter-based stream.
inline torch::Tensor masked(const torch::Tensor& x_RC, double p, const Philox& stream,
                            std::int64_t first_row) {
  if (p == 0) return x_RC;
  auto mask = torch::empty({x_RC.size(0), x_RC.size(1)}, torch::kDouble);
  for (std::int64_t r = 0; r < x_RC.size(0); ++r)
    for (std::int64_t c = 0; c < x_RC.size(1); ++c) {
      const auto word =
          stream.block(static_cast<std::uint64_t>(c / 4),
                       static_cast<std::uint64_t>(first_row + r))[static_cast<std::size_t>(c % 4)];
      mask[r][c] = static_cast<double>(word) < p * 4294967296.0 ? 0.0 : 1 / (1 - p);
    }
  return x_RC * mask.to(x_RC.dtype());
}

struct TwinBlock : torch::nn::Module {
  TwinBlock(const ModelConfig& m, int layer_index) : model(m), layer(layer_index) {
    const auto linear = [&](std::int64_t in, std::int64_t out) {
      return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(m.bias));
    };
    ln_1 = register_module("ln_1", torch::nn::LayerNorm(torch::nn::LayerNormOptions({m.width})));
    c_attn = register_module("c_attn", linear(m.width, 3 * m.width));
    attn_proj = register_module("attn_proj", linear(m.width, m.width));
    const auto head_norm = [&] {
      return torch::nn::LayerNorm(torch::nn::LayerNormOptions({m.width / m.heads}));
    };
    if (m.qk_norm)
      q_norm = register_module("q_norm", head_norm()), k_norm = register_module("k_norm", head_norm());
    ln_2 = register_module("ln_2", torch::nn::LayerNorm(torch::nn::LayerNormOptions({m.width})));
    c_fc = register_module("c_fc", linear(m.width, m.mlp_ratio * m.width));
    mlp_proj = register_module("mlp_proj", linear(m.mlp_ratio * m.width, m.width));
  }

  torch::Tensor drop(const torch::Tensor& x_BTC, const MicroBatch& batch, const std::string& site) const {
    if (!batch.dropout) return x_BTC;
    const Philox stream(batch.dropout_seed, "dropout." + site + "." + std::to_string(layer));
    return masked(x_BTC.reshape({-1, x_BTC.size(2)}), model.dropout, stream, batch.first_row * batch.T)
        .view(x_BTC.sizes());
  }

  torch::Tensor attend(const torch::Tensor& x_BTC, const MicroBatch& batch) {
    const auto B = x_BTC.size(0), T = x_BTC.size(1), C = x_BTC.size(2), H = std::int64_t{model.heads};
    const auto parts = c_attn(x_BTC).split(C, 2);
    const auto heads = [&](const torch::Tensor& t) { return t.view({B, T, H, C / H}).transpose(1, 2); };
    auto q = heads(parts[0]), k = heads(parts[1]);
    if (model.qk_norm) q = q_norm(q), k = k_norm(k);
    const double D = static_cast<double>(C) / static_cast<double>(H);
    // muP (Yang et al. 2022, table 8): 1/D, and as much as ever where D is that of the base width.
    const double factor =
        model.mup_base_head_width > 0 ? std::sqrt(1.0 * model.mup_base_head_width) / D : 1 / std::sqrt(D);
    auto scores = torch::matmul(q, k.transpose(2, 3)) * factor;
    logits_BHTT = scores;
    scores = scores.masked_fill(torch::ones({T, T}, torch::kBool).triu(1),
                                -std::numeric_limits<double>::infinity());
    auto p = torch::softmax(scores, 3);
    if (batch.dropout) {
      const Philox stream(batch.dropout_seed, "dropout.attention." + std::to_string(layer));
      p = masked(p.reshape({-1, T}), model.dropout, stream, batch.first_row * H * T).view(p.sizes());
    }
    return attn_proj(torch::matmul(p, heads(parts[2])).transpose(1, 2).reshape({B, T, C}));
  }

  torch::Tensor forward(torch::Tensor x_BTC, const MicroBatch& batch) {
    x_BTC = x_BTC + drop(attend(ln_1(x_BTC), batch), batch, "attn");
    const auto hidden =
        torch::gelu(c_fc(ln_2(x_BTC)), model.activation == Activation::gelu ? "none" : "tanh");
    return x_BTC + drop(mlp_proj(hidden), batch, "mlp");
  }

  ModelConfig model;
  int layer;
  torch::Tensor logits_BHTT;  ///< of the last forward pass, future keys included
  torch::nn::LayerNorm ln_1{nullptr}, ln_2{nullptr}, q_norm{nullptr}, k_norm{nullptr};
  torch::nn::Linear c_attn{nullptr}, attn_proj{nullptr}, c_fc{nullptr}, mlp_proj{nullptr};
};

struct Twin : torch::nn::Module {
  explicit Twin(const ModelConfig& m) : model(m) {
    wte = register_module("wte", torch::nn::Embedding(m.vocab, m.width));
    wpe = register_module("wpe", torch::nn::Embedding(m.block, m.width));
    for (int l = 0; l < m.layers; ++l)
      blocks.push_back(register_module("h" + std::to_string(l), std::make_shared<TwinBlock>(m, l)));
    ln_f = register_module("ln_f", torch::nn::LayerNorm(torch::nn::LayerNormOptions({m.width})));
    head = register_module("head", torch::nn::Linear(torch::nn::LinearOptions(m.width, m.vocab).bias(false)));
    if (m.tied) head->weight = wte->weight;
    to(torch::kDouble);
    if (m.tied) head->weight = wte->weight;
  }

  torch::Tensor logits(const MicroBatch& batch) {
    const auto tokens = batch.tokens_R.view({batch.batch, batch.T});
    auto x = wte(tokens) + wpe(torch::arange(batch.T));
    if (batch.dropout)
      x = masked(x.reshape({-1, model.width}), model.dropout,
                 Philox(batch.dropout_seed, "dropout.embedding.-1"), batch.first_row * batch.T)
              .view(x.sizes());
    residuals_BTC = {x};
    for (auto& block : blocks) residuals_BTC.push_back(x = block->forward(x, batch));
    const double output = model.mup_base_width > 0 ? 1.0 * model.mup_base_width / model.width : 1;
    return (head(ln_f(x)) * output).view({batch.batch * batch.T, model.vocab});
  }

  /// The twin's tensor for one of our parameter names.
  torch::Tensor& parameter(const std::string& name) {
    const auto weight = [&](auto& module) -> torch::Tensor& {
      return name.ends_with(".bias") ? module->bias : module->weight;
    };
    if (name == "wte.weight") return wte->weight;
    if (name == "wpe.weight") return wpe->weight;
    if (name == "lm_head.weight") return head->weight;
    if (name.starts_with("ln_f.")) return weight(ln_f);
    auto& b = *blocks.at(std::stoul(name.substr(2)));
    if (name.find(".ln_1.") != std::string::npos) return weight(b.ln_1);
    if (name.find(".ln_2.") != std::string::npos) return weight(b.ln_2);
    if (name.find(".q_norm.") != std::string::npos) return weight(b.q_norm);
    if (name.find(".k_norm.") != std::string::npos) return weight(b.k_norm);
    if (name.find(".c_attn.") != std::string::npos) return weight(b.c_attn);
    if (name.find(".attn.c_proj.") != std::string::npos) return weight(b.attn_proj);
    if (name.find(".c_fc.") != std::string::npos) return weight(b.c_fc);
    return weight(b.mlp_proj);
  }

  ModelConfig model;
  torch::nn::Embedding wte{nullptr}, wpe{nullptr};
  std::vector<std::shared_ptr<TwinBlock>> blocks;
  std::vector<torch::Tensor> residuals_BTC;  ///< of the last forward pass: before each block, after the last
  torch::nn::LayerNorm ln_f{nullptr};
  torch::nn::Linear head{nullptr};
};

}  // namespace weightscope

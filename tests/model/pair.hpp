#pragma once
// A model in both forms, ours and autograd's, with the same random weights.
#include <gtest/gtest.h>

#include <cmath>

#include "model/twin.hpp"

namespace weightscope {

struct Case {
  std::string name;
  ModelConfig model;
  std::int64_t batch, T;
  bool recompute = false;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

inline ModelConfig small(bool tied, bool bias, Activation activation, double dropout) {
  ModelConfig m;
  m.layers = 3, m.heads = 2, m.width = 16, m.block = 9, m.vocab = 37, m.mlp_ratio = 4;
  m.tied = tied, m.bias = bias, m.activation = activation, m.dropout = dropout;
  return m;
}

inline std::vector<Case> cases() {
  auto wide = small(true, true, Activation::gelu_tanh, 0);
  wide.mlp_ratio = 2, wide.layers = 1;
  auto normed = small(true, true, Activation::gelu_tanh, 0), normed_no_bias = normed, normed_dropout = normed;
  for (auto* m : {&normed, &normed_no_bias, &normed_dropout}) m->qk_norm = true;
  normed_no_bias.bias = false, normed_dropout.dropout = 0.25;
  auto mup = small(true, true, Activation::gelu_tanh, 0),
       mup_untied = small(false, false, Activation::gelu, 0.1);
  mup.mup_base_width = 6, mup.mup_base_head_width = 3;
  mup_untied.mup_base_width = 40, mup_untied.mup_base_head_width = 20, mup_untied.qk_norm = true;
  return {{"article", small(true, true, Activation::gelu_tanh, 0), 2, 9},
          {"erf_untied_short", small(false, true, Activation::gelu, 0), 3, 5},
          {"no_bias", small(true, false, Activation::gelu_tanh, 0), 1, 9},
          {"dropout", small(true, true, Activation::gelu_tanh, 0.25), 2, 7},
          {"recompute", small(false, true, Activation::gelu_tanh, 0.1), 2, 9, true},
          {"one_layer_narrow_mlp", wide, 2, 4},
          {"qk_norm", normed, 2, 9},
          {"qk_norm_no_bias", normed_no_bias, 3, 5},
          {"qk_norm_dropout_recompute", normed_dropout, 2, 7, true},
          {"mup", mup, 2, 9},
          {"mup_untied_qk_norm_dropout_recompute", mup_untied, 2, 7, true}};
}

/// One model in both forms with the same random weights.
struct Pair {
  Pair(const Case& c, Types types, DevicePlace place = {})
      : twin(c.model),
        store(c.model, types, place, 2),
        gpt(c.model, store, c.batch * c.T, Purpose::training, c.recompute) {
    torch::NoGradGuard no_grad;
    torch::manual_seed(11);
    for (const auto& p : store.parameters()) {
      auto values = torch::randn(p.shape, torch::kDouble) * 0.3;
      if (p.kind == ParameterKind::norm_weight) values = values + 1;
      if (types.mixed()) values = values.to(torch::kBFloat16).to(torch::kDouble);
      auto& mine = twin.parameter(p.name);
      if (mine.defined()) mine.copy_(values);
      ParamStore::view(store.master(), p).copy_(values);
    }
    if (!c.model.bias)
      for (auto& b : twin.blocks) b->ln_1->bias.zero_(), b->ln_2->bias.zero_();
    if (!c.model.bias) twin.ln_f->bias.zero_();
    store.refresh_work();
    batch.batch = c.batch, batch.T = c.T, batch.first_row = 3, batch.dropout_seed = 99,
    batch.dropout = c.model.dropout > 0;
    batch.tokens_R = torch::randint(c.model.vocab, {c.batch * c.T}, torch::kLong);
    batch.targets_R = torch::randint(c.model.vocab, {c.batch * c.T}, torch::kLong);
    on_device = batch;
    on_device.tokens_R = batch.tokens_R.to(store.master().device());
    on_device.targets_R = batch.targets_R.to(store.master().device());
  }
  double run_twin() {
    twin.zero_grad();
    auto loss = torch::nn::functional::cross_entropy(twin.logits(batch), batch.targets_R);
    loss.backward();
    return loss.item<double>();
  }
  double run_ours(double weight, ops::Write write) {
    torch::NoGradGuard no_grad;
    at::Tensor(gpt.loss_sum()).zero_();
    gpt.forward(on_device);
    gpt.backward_head(on_device, weight, write);
    for (int l = gpt.config().layers - 1; l >= 0; --l) gpt.backward_block(l, on_device, write);
    gpt.backward_embedding(on_device, write);
    return gpt.loss_sum().item<double>() / static_cast<double>(on_device.batch * on_device.T);
  }
  Twin twin;
  ParamStore store;
  Gpt gpt;
  MicroBatch batch, on_device;  ///< the second one lies where the store does
};

/// The tensor whose largest gradient says what is small in that of `name`. The same vector added to all keys
/// changes no attention weight, so the true gradient of k_norm's bias is zero: its gain's is its measure.
inline std::string measure_of(const std::string& name) {
  const auto at = name.find(".k_norm.bias");
  return at == std::string::npos ? name : name.substr(0, at) + ".k_norm.weight";
}

/// Largest difference of any gradient, relative to the largest gradient of its tensor (or of the model, where
/// a tensor's is tiny).
inline double worst_gradient(Pair& pair, double factor, std::string& where) {
  double largest = 0, worst = 0;
  for (const auto& p : pair.store.parameters())
    largest = std::max(largest, pair.twin.parameter(p.name).grad().abs().max().item<double>());
  for (const auto& p : pair.store.parameters()) {
    const auto expected = pair.twin.parameter(p.name).grad() * factor;
    const auto got = ParamStore::view(pair.store.grad(), p).cpu().to(torch::kDouble);
    const auto measure = pair.twin.parameter(measure_of(p.name)).grad().abs().max().item<double>() * factor;
    const double error = (got - expected).abs().max().item<double>() / std::max(measure, 1e-2 * largest);
    if (std::isnan(error)) return where = p.name, error;  // lies below no tolerance
    if (error > worst) worst = error, where = p.name;
  }
  return worst;
}

inline void expect_agreement(const Case& c, Types types, double tolerance, DevicePlace place = {}) {
  Pair pair(c, types, place);
  const double expected = pair.run_twin(), weight = 1.0 / static_cast<double>(c.batch * c.T);
  std::string where;
  EXPECT_NEAR(pair.run_ours(weight, ops::Write::assign), expected, tolerance * expected);
  EXPECT_LT(worst_gradient(pair, 1, where), tolerance) << where;
  pair.run_ours(weight, ops::Write::add);
  EXPECT_LT(worst_gradient(pair, 2, where), tolerance) << "accumulated: " << where;
  pair.run_ours(weight, ops::Write::assign);
  EXPECT_LT(worst_gradient(pair, 1, where), tolerance) << "assigned again: " << where;
}

}  // namespace weightscope

// Updates of a muP model against autograd and an AdamW of a few lines.
#include "model/pair.hpp"
#include "train/optimizer.hpp"

namespace weightscope {
namespace {

/// muP's widths are 6 of 16, heads of 3 of 8.
Case mup_case(bool tied) {
  auto model = small(tied, true, Activation::gelu_tanh, 0);
  model.mup_base_width = 6, model.mup_base_head_width = 3;
  return {"mup", model, 2, 9};
}

constexpr OptimizerConfig kOptimizer{OptimizerName::adamw, 2e-2, 0.9, 0.95, 1e-4, 0.1};

/// Matrices between the embedding and the head, by name.
bool is_hidden(const std::string& name) {
  return name.starts_with("h.") && name.ends_with(".weight") && name.find(".ln_") == std::string::npos;
}

/// AdamW in double as the papers have it: decay by lr · weight_decay whatever the step of a tensor is.
struct PlainAdamW {
  void update(Twin& twin, const std::vector<Parameter>& table, double hidden_scale) {
    torch::NoGradGuard no_grad;
    ++step;
    const auto& o = kOptimizer;
    for (const auto& p : table) {
      auto& w = twin.parameter(p.name);
      auto &m = first[p.name], &v = second[p.name];
      if (!m.defined()) m = torch::zeros_like(w), v = torch::zeros_like(w);
      const auto g = w.grad();
      m = o.beta1 * m + (1 - o.beta1) * g, v = o.beta2 * v + (1 - o.beta2) * g * g;
      const auto m_hat = m / (1 - std::pow(o.beta1, step)), v_hat = v / (1 - std::pow(o.beta2, step));
      const double lr = o.lr * (is_hidden(p.name) ? hidden_scale : 1);
      if (p.shape.size() > 1) w -= o.lr * o.weight_decay * w;
      w -= lr * m_hat / (v_hat.sqrt() + o.eps);
    }
  }
  int step = 0;
  std::map<std::string, torch::Tensor> first, second;
};

double worst_weight(Pair& pair) {
  double worst = 0;
  for (const auto& p : pair.store.parameters()) {
    const auto ours = ParamStore::view(pair.store.master(), p).to(torch::kDouble);
    const double largest = (ours - pair.twin.parameter(p.name)).abs().max().item<double>();
    EXPECT_FALSE(std::isnan(largest)) << p.name;  // no maximum shows it
    worst = std::max(worst, largest);
  }
  return worst;
}

}  // namespace

TEST(Mup, FiveUpdatesAreThoseOfAPlainAdamW) {
  for (const bool tied : {true, false}) {
    Pair pair(mup_case(tied), {at::kFloat, at::kFloat});
    Optimizer optimizer(kOptimizer, pair.store, {0, pair.store.size()});
    PlainAdamW plain;
    for (int step = 1; step <= 5; ++step) {
      const double expected = pair.run_twin();
      EXPECT_NEAR(pair.run_ours(1.0 / 18, ops::Write::assign), expected, 1e-4 * expected) << step;
      plain.update(pair.twin, pair.store.parameters(), 6.0 / 16);
      optimizer.update(step, kOptimizer.lr, 1, pair.store.grad(), false);
      EXPECT_LT(worst_weight(pair), 1e-4) << step;
    }
  }
}

TEST(Mup, TheLearningRatesAreThoseOfTheTable) {
  // Yang et al. 2022, table 8, AdamW: input and output weights and vectors as they are, hidden ones 1/width.
  for (const auto& p : parameter_table(mup_case(false).model))
    EXPECT_EQ(p.lr_scale, is_hidden(p.name) ? 6.0 / 16 : 1.0) << p.name;
  for (const auto& p : parameter_table(small(true, true, Activation::gelu, 0))) EXPECT_EQ(p.lr_scale, 1.0);
}

}  // namespace weightscope

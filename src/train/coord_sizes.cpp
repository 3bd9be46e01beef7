#include "train/coord_sizes.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "train/coord_check.hpp"

// R = B·T rows, C width, H heads, D = C / H.
namespace weightscope {
namespace {

constexpr std::int64_t kTokens = 4096;

using Sizes = std::pair<std::vector<double>, std::vector<double>>;

double mean_size(const at::Tensor& x) { return x.to(at::kFloat).abs().mean(at::kDouble).item<double>(); }

void add(Sizes& sizes, const at::Tensor& now, const at::Tensor& start) {
  sizes.first.push_back(mean_size(now)),
      sizes.second.push_back(mean_size(now.to(at::kFloat) - start.to(at::kFloat)));
}

/// scale · q·kᵀ/√D of one sample over the past, zero elsewhere: [H, T, T].
at::Tensor attention_logits(const at::Tensor& qkv_R3C, std::int64_t row, std::int64_t T, const Gpt& gpt) {
  const std::int64_t H = gpt.config().heads, D = gpt.config().width / H;
  const auto heads = [&](std::int64_t part) {
    return qkv_R3C.narrow(0, row * T, T).view({T, 3, H, D}).select(1, part).transpose(0, 1).to(at::kFloat);
  };
  return at::bmm(heads(0), heads(1).transpose(1, 2))
      .mul_(gpt.attention_scale() / std::sqrt(static_cast<double>(D)))
      .tril_();
}

void add_attention_logits(Sizes& sizes, const at::Tensor& now, const at::Tensor& start, const Gpt& gpt,
                          std::int64_t batch) {
  const std::int64_t T = now.size(0) / batch;
  double size = 0, change = 0;
  for (std::int64_t row = 0; row < batch; ++row) {
    const auto a = attention_logits(now, row, T, gpt), b = attention_logits(start, row, T, gpt);
    size += mean_size(a), change += mean_size(a - b);
  }
  // The mean was over T² places, of which T(T + 1)/2 can be seen.
  const double seen =
      static_cast<double>(batch) * static_cast<double>(T + 1) / (2.0 * static_cast<double>(T));
  sizes.first.push_back(size / seen), sizes.second.push_back(change / seen);
}

}  // namespace

std::vector<std::string> coord_quantities(int layers) {
  std::vector<std::string> names{"embedding"};
  for (int l = 0; l < layers; ++l)
    for (const char* what : {"attention_logits", "attention", "mlp", "residual"})
      names.push_back("h." + std::to_string(l) + "." + what);
  names.emplace_back("logits");
  return names;
}

std::int64_t rows_measured(const RunConfig& config) {
  return std::clamp<std::int64_t>(kTokens / config.model.block, 1, config.train.micro_batch);
}

Coordinates coordinates(Gpt& gpt, const MicroBatch& batch) {
  Coordinates c;
  gpt.forward_embedding(batch);
  c.embedding_RC = gpt.residual(0).clone();
  for (int l = 0; l < gpt.config().layers; ++l) {
    gpt.forward_block(l, batch);
    c.layers.push_back({gpt.qkv(l).clone(), gpt.middle(l) - gpt.residual(l), gpt.mlp_output().clone(),
                        gpt.middle(l) + gpt.mlp_output()});
  }
  gpt.forward_output();
  c.logits_RV = gpt.logits();
  return c;
}

Sizes compare_coordinates(const Coordinates& now, const Coordinates& start, const Gpt& gpt,
                          std::int64_t batch) {
  Sizes sizes;
  add(sizes, now.embedding_RC, start.embedding_RC);
  for (std::size_t l = 0; l < now.layers.size(); ++l) {
    const auto &a = now.layers[l], &b = start.layers[l];
    add_attention_logits(sizes, a.qkv_R3C, b.qkv_R3C, gpt, batch);
    add(sizes, a.attention_RC, b.attention_RC);
    add(sizes, a.mlp_RC, b.mlp_RC);
    add(sizes, a.residual_RC, b.residual_RC);
  }
  add(sizes, now.logits_RV, start.logits_RV);
  return sizes;
}

}  // namespace weightscope

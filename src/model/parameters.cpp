#include "model/parameters.hpp"

#include <algorithm>
#include <numeric>

#include "model/mup.hpp"

namespace weightscope {
namespace {

constexpr std::int64_t kAlignment =
    64;  // elements: 128 bytes of bf16, so that views of all copies, and each rank's shard, are aligned

void add_norm(std::vector<Parameter>& table, const ModelConfig& m, const std::string& name,
              std::int64_t features, int layer) {
  table.push_back({name + ".weight", {features}, ParameterKind::norm_weight, layer});
  if (m.bias) table.push_back({name + ".bias", {features}, ParameterKind::bias, layer});
}

void add_linear(std::vector<Parameter>& table, const ModelConfig& m, const std::string& name,
                std::int64_t out, std::int64_t in, ParameterKind kind, int layer) {
  table.push_back({name + ".weight", {out, in}, kind, layer});
  if (m.bias) table.push_back({name + ".bias", {out}, ParameterKind::bias, layer});
}

/// Place in the order in which backward finishes gradients.
int rank_of(const Parameter& p, int layers) {
  if (p.name == "wte.weight") return layers + 2;
  if (p.name == "wpe.weight") return layers + 1;
  return p.layer < 0 ? 0 : layers - p.layer;
}

}  // namespace

std::int64_t Parameter::numel() const {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

std::vector<Parameter> parameter_table(const ModelConfig& m) {
  std::vector<Parameter> table;
  table.push_back({"wte.weight", {m.vocab, m.width}, ParameterKind::embedding});
  table.push_back({"wpe.weight", {m.block, m.width}, ParameterKind::position});
  const std::int64_t C = m.width, hidden = std::int64_t{m.mlp_ratio} * C;
  for (int l = 0; l < m.layers; ++l) {
    const std::string h = "h." + std::to_string(l);
    add_norm(table, m, h + ".ln_1", C, l);
    add_linear(table, m, h + ".attn.c_attn", 3 * C, C, ParameterKind::linear, l);
    if (m.qk_norm)
      for (const char* norm : {".attn.q_norm", ".attn.k_norm"}) add_norm(table, m, h + norm, C / m.heads, l);
    add_linear(table, m, h + ".attn.c_proj", C, C, ParameterKind::residual_projection, l);
    add_norm(table, m, h + ".ln_2", C, l);
    add_linear(table, m, h + ".mlp.c_fc", hidden, C, ParameterKind::linear, l);
    add_linear(table, m, h + ".mlp.c_proj", C, hidden, ParameterKind::residual_projection, l);
  }
  add_norm(table, m, "ln_f", C, -1);
  if (!m.tied) table.push_back({"lm_head.weight", {m.vocab, m.width}, ParameterKind::head});

  for (auto& p : table) p.lr_scale = mup_lr_scale(m, p.kind);
  std::vector<Parameter*> order;
  for (auto& p : table) order.push_back(&p);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto* a, auto* b) { return rank_of(*a, m.layers) < rank_of(*b, m.layers); });
  std::int64_t at = 0;
  for (auto* p : order) {
    const bool vocabulary = p->kind == ParameterKind::embedding || p->kind == ParameterKind::head;
    p->storage = vocabulary ? padded_vocab(p->rows()) * p->columns() : p->numel();
    p->offset = at;
    at += (p->storage + kAlignment - 1) / kAlignment * kAlignment;
  }
  return table;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const auto n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

std::int64_t flat_size(const std::vector<Parameter>& table, int world) {
  std::int64_t end = 0;
  for (const auto& p : table) end = std::max(end, p.offset + p.storage);
  const std::int64_t unit = std::lcm(world * kAlignment, std::int64_t{128});
  return (end + unit - 1) / unit * unit;
}

}  // namespace weightscope

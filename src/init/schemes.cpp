#include "init/schemes.hpp"

#include <algorithm>
#include <cmath>

namespace weightscope {
namespace {

using C = InitContext;
using K = ParameterKind;

Distribution zero() { return {Family::constant, 0}; }
/// A spread of 0 is a constant, which is tested as one.
Distribution of(Family family, double spread, double cut = Distribution{}.cut) {
  return spread == 0 ? zero() : Distribution{family, spread, cut};
}
Distribution normal(double std) { return of(Family::normal, std); }
Distribution uniform(double std) { return of(Family::uniform, std * std::sqrt(3.0)); }

double fan_in(const C& c) { return static_cast<double>(c.columns); }
double fan_out(const C& c) { return static_cast<double>(c.rows); }
double xavier(const C& c) { return std::sqrt(2 / (fan_in(c) + fan_out(c))); }
double small(const C& c) { return std::sqrt(2 / (5.0 * c.width)); }
double depth(const C& c) { return std::sqrt(2.0 * c.layers); }
bool embeds(const C& c) { return c.kind == K::embedding || c.kind == K::position; }
bool projects(const C& c) { return c.kind == K::residual_projection; }

/// Rows whose weights follow `rule` and whose biases and norms are 0 and 1, as everywhere.
template <Distribution (*rule)(const C&)>
Distribution with_constants(const C& c) {
  if (c.kind == K::bias) return zero();
  if (c.kind == K::norm_weight) return {Family::constant, 1};
  return rule(c);
}

Distribution article(const C& c) { return normal(embeds(c) ? xavier(c) : c.std); }
Distribution gpt2(const C& c) { return normal(projects(c) ? c.std / depth(c) : c.std); }
Distribution plain(const C& c) { return normal(c.std); }
Distribution truncated(const C& c) { return of(Family::truncated_normal, c.std, 2); }
Distribution xavier_n(const C& c) { return normal(xavier(c)); }
Distribution xavier_u(const C& c) { return uniform(xavier(c)); }
// Fan-in of an embedding is its width: a row is read, not summed over.
Distribution kaiming_n(const C& c) { return normal(std::sqrt(2 / fan_in(c))); }
Distribution kaiming_u(const C& c) { return uniform(std::sqrt(2 / fan_in(c))); }
Distribution lecun(const C& c) { return normal(std::sqrt(1 / fan_in(c))); }
Distribution orthogonal(const C& c) {
  return embeds(c) || c.kind == K::head ? normal(c.std) : Distribution{Family::orthogonal, 1};
}
Distribution small_init(const C& c) { return normal(small(c)); }
Distribution wang(const C& c) {
  return normal(projects(c) ? 2 / (c.layers * std::sqrt(static_cast<double>(c.width))) : small(c));
}
Distribution mitchell(const C& c) {
  const double std = 1 / std::sqrt(fan_in(c));
  return {Family::truncated_normal, projects(c) ? std / std::sqrt(2.0 * (c.layer + 1)) : std, 3};
}
Distribution depth_scaled(const C& c) {
  return normal(c.layer >= 0 ? xavier(c) / std::sqrt(c.layer + 1.0) : c.std);
}
Distribution zero_proj(const C& c) { return projects(c) ? zero() : normal(c.std); }
Distribution spectral(const C& c) {
  return normal(embeds(c) ? c.std : std::min(1.0, std::sqrt(fan_out(c) / fan_in(c))) / std::sqrt(fan_in(c)));
}
// What `gpt2` is at the base width. Variances of hidden matrices go with 1/fan_in, and all fan-ins with C.
Distribution mup(const C& c) {
  const bool hidden = c.kind == K::linear || projects(c);
  return normal((projects(c) ? c.std / depth(c) : c.std) * (hidden ? std::sqrt(c.base_ratio) : 1));
}

}  // namespace

const std::array<Scheme, 17> kSchemes{{
    {InitScheme::article,
     "Linear N(0, std); Embedding N(0, sqrt(2/(rows + columns))); a tied wte ends as Linear",
     "the seed article: apply(weightInits) with nn.init.normal_ and xavier_normal_", with_constants<article>},
    {InitScheme::gpt2, "N(0, std); residual projections N(0, std/sqrt(2L))",
     "Radford et al. 2019, section 2.3", with_constants<gpt2>},
    {InitScheme::normal, "N(0, std)", "-", with_constants<plain>},
    {InitScheme::trunc_normal, "N(0, std) cut at 2 std", "BERT, Devlin et al. 2019",
     with_constants<truncated>},
    {InitScheme::xavier_normal, "N(0, sqrt(2/(fan_in + fan_out)))", "Glorot & Bengio 2010, eq. 16",
     with_constants<xavier_n>},
    {InitScheme::xavier_uniform, "U(±sqrt(6/(fan_in + fan_out)))", "Glorot & Bengio 2010, eq. 16",
     with_constants<xavier_u>},
    {InitScheme::kaiming_normal, "N(0, sqrt(2/fan_in))", "He et al. 2015, eq. 10", with_constants<kaiming_n>},
    {InitScheme::kaiming_uniform, "U(±sqrt(6/fan_in))", "He et al. 2015, eq. 10", with_constants<kaiming_u>},
    {InitScheme::lecun_normal, "N(0, sqrt(1/fan_in))", "LeCun et al. 1998, eq. 16", with_constants<lecun>},
    {InitScheme::orthogonal, "orthonormal rows or columns; embeddings and head N(0, std)", "Saxe et al. 2014",
     with_constants<orthogonal>},
    {InitScheme::small_init, "N(0, sqrt(2/(5C)))", "Nguyen & Salazar 2019, section 2.2",
     with_constants<small_init>},
    {InitScheme::wang_init, "N(0, sqrt(2/(5C))); residual projections N(0, 2/(L sqrt(C)))",
     "GPT-NeoX-20B, Black et al. 2022, section 2.1.4", with_constants<wang>},
    {InitScheme::mitchell,
     "N(0, 1/sqrt(fan_in)) cut at 3 std; residual projections of layer l times 1/sqrt(2(l + 1))",
     "OLMo, Groeneveld et al. 2024", with_constants<mitchell>},
    {InitScheme::depth_scaled,
     "N(0, sqrt(2/(fan_in + fan_out))/sqrt(l + 1)) in layer l; N(0, std) outside the blocks",
     "DS-Init, Zhang, Titov & Sennrich 2019, eq. 6 (normal form)", with_constants<depth_scaled>},
    {InitScheme::zero_proj, "N(0, std); residual projections 0", "Fixup, Zhang, Dauphin & Ma 2019, rule 1",
     with_constants<zero_proj>},
    {InitScheme::spectral,
     "N(0, min(1, sqrt(fan_out/fan_in))/sqrt(fan_in)); embeddings N(0, std); the condition at initialization "
     "only",
     "Yang, Simon & Bernstein 2023, condition 1", with_constants<spectral>},
    {InitScheme::mup,
     "embeddings and head N(0, std); hidden N(0, std sqrt(C0/C)), residual projections over sqrt(2L), C0 = "
     "model.mup_base_width",
     "Yang et al. 2022, table 8 (muP)", with_constants<mup>},
}};

const Scheme& scheme(InitScheme id) { return kSchemes[static_cast<std::size_t>(id)]; }

std::string_view why_left_out(std::string_view name) {
  if (name == "deepnorm")
    return "deepnorm is true only together with post-LayerNorm blocks and their residual scale alpha, which "
           "this model does not have";
  return "";
}

std::string schemes_reference() {
  std::string text = "| init.scheme | weights | source |\n|---|---|---|\n";
  for (const auto& s : kSchemes)
    text += "| `" + std::string(s.name()) + "` | " + std::string(s.formula) + " | " + std::string(s.source) +
            " |\n";
  return text;
}

}  // namespace weightscope

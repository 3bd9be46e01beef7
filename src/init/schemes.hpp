#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "init/distribution.hpp"

namespace weightscope {

/// Names of `init.scheme`; the row of the table with the same index says what each does.
enum class InitScheme : std::uint8_t {
  article,
  gpt2,
  normal,
  trunc_normal,
  xavier_normal,
  xavier_uniform,
  kaiming_normal,
  kaiming_uniform,
  lecun_normal,
  orthogonal,
  small_init,
  wang_init,
  mitchell,
  depth_scaled,
  zero_proj,
  spectral,
  mup
};

/// In the order of the enumeration, as the configuration writes them.
inline constexpr std::array<std::string_view, 17> kSchemeNames{"article",
                                                               "gpt2",
                                                               "normal",
                                                               "trunc_normal",
                                                               "xavier_normal",
                                                               "xavier_uniform",
                                                               "kaiming_normal",
                                                               "kaiming_uniform",
                                                               "lecun_normal",
                                                               "orthogonal",
                                                               "small_init",
                                                               "wang_init",
                                                               "mitchell",
                                                               "depth_scaled",
                                                               "zero_proj",
                                                               "spectral",
                                                               "mup"};

/// What a parameter is, as far as initialization cares.
enum class ParameterKind : std::uint8_t {
  linear,
  residual_projection,
  embedding,
  position,
  head,
  bias,
  norm_weight
};

/// Everything a scheme's formula may depend on.
struct InitContext {
  ParameterKind kind = ParameterKind::linear;
  std::int64_t rows = 1, columns = 1;  ///< [fan_out, fan_in]; for embeddings [entries, width]
  int layer = -1, layers = 1, width = 1;
  double std = 0.02;      ///< init.std
  double base_ratio = 1;  ///< model.mup_base_width over width; 1 without muP
};

/// One row = one value of init.scheme, its formula and source for the reference page, and what it draws each
/// tensor from. Biases are 0 and norm weights 1 in every scheme.
struct Scheme {
  InitScheme id;
  std::string_view formula, source;
  Distribution (*of)(const InitContext&);
  std::string_view name() const { return kSchemeNames[static_cast<std::size_t>(id)]; }
};
extern const std::array<Scheme, 17> kSchemes;
const Scheme& scheme(InitScheme id);

/// Known schemes that are left out on purpose, with the reason; "" for other names.
std::string_view why_left_out(std::string_view name);

/// Markdown table of name, formula and source: part of docs/config-reference.md.
std::string schemes_reference();

}  // namespace weightscope

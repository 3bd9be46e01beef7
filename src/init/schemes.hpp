#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/philox.hpp"

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
  spectral
};

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
  double std = 0.02;  ///< init.std
};

/// A distribution to draw from. spread: standard deviation, half-width, constant or gain, by family.
enum class Family : std::uint8_t { constant, normal, truncated_normal, uniform, orthogonal };
struct Distribution {
  Family family = Family::constant;
  double spread = 0;
  double expected_std(std::int64_t rows, std::int64_t columns) const;
};

struct Scheme {
  InitScheme id;
  std::string_view name, formula, source;
  Distribution (*of)(const InitContext&);
};
extern const std::array<Scheme, 16> kSchemes;
const Scheme& scheme(InitScheme id);

/// Element i of the tensor is a pure function of (stream, i); threads only share out the work.
void fill(std::span<float> values, std::int64_t rows, std::int64_t columns, const Distribution& from,
          const Philox& stream);

}  // namespace weightscope

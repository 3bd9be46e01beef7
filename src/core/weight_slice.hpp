#pragma once
#include <array>
#include <string>
#include <string_view>

#include "core/buffer.hpp"

namespace weightscope {

/// The matrices of a transformer block that are followed over time, in the order of the file's `component`
/// axis. c_attn is the fused [3C, C] projection; q, k and v are its thirds.
enum class Component : std::uint8_t { c_attn, q, k, v, attn_proj, mlp_fc, mlp_proj, none };
inline constexpr std::array<std::string_view, 7> kComponentNames{"c_attn",    "q",      "k",       "v",
                                                                 "attn_proj", "mlp_fc", "mlp_proj"};

/// A contiguous part of one parameter that is measured as a unit: one head of q, k or v, or a whole tensor.
struct WeightSlice {
  std::string parameter;                  ///< "h.0.attn.c_attn.weight"
  int parameter_index = 0;                ///< position on the file's `parameter` axis
  int layer = -1;                         ///< -1 outside the blocks
  Component component = Component::none;  ///< none for biases, LayerNorms and embeddings
  int head = -1;                          ///< -1 unless component is q, k or v
  Buffer weights;
  const float* initial =
      nullptr;  ///< the same elements at step 0, host memory; null when displacement is not followed
};

}  // namespace weightscope

#pragma once
#include <array>
#include <random>
#include <string>
#include <vector>

#include "core/weight_slice.hpp"

namespace weightscope::bench {

/// Q, K and V of GPT-2 124M.
inline constexpr int kLayers = 12, kHeads = 12;
inline constexpr std::size_t kWidth = 768, kHeadNumbers = kWidth * kWidth / kHeads;

/// [layer][q, k, v][head] one after the other, N(0, 0.02²).
inline std::vector<float> random_heads(unsigned seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal(0.0F, 0.02F);
  std::vector<float> weights(std::size_t{kLayers} * 3 * kHeads * kHeadNumbers);
  for (auto& w : weights) w = normal(generator);
  return weights;
}

inline std::vector<WeightSlice> head_slices(float* weights, const float* initial) {
  std::vector<WeightSlice> slices;
  for (int i = 0; i < kLayers * 3 * kHeads; ++i) {
    const auto at = static_cast<std::size_t>(i) * kHeadNumbers;
    WeightSlice slice;
    slice.layer = i / (3 * kHeads), slice.head = i % kHeads;
    slice.component =
        std::array{Component::q, Component::k, Component::v}[static_cast<std::size_t>(i) / kHeads % 3];
    slice.parameter = "h." + std::to_string(slice.layer) + ".attn.c_attn.weight";
    slice.parameter_index = slice.layer;
    slice.weights.data = weights + at, slice.weights.count = kHeadNumbers;
    slice.initial = initial == nullptr ? nullptr : initial + at;
    slices.push_back(slice);
  }
  return slices;
}

}  // namespace weightscope::bench

#pragma once
// Private to the coordinate check: activations of one forward pass, and how large they are.
#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

#include "model/gpt.hpp"

namespace weightscope {

/// Copies of what a forward pass computed. Of attention its inputs: logits are many, and are computed again.
struct Coordinates {
  struct Layer {
    at::Tensor qkv_R3C, attention_RC, mlp_RC, residual_RC;
  };
  at::Tensor embedding_RC, logits_RV;
  std::vector<Layer> layers;
};

/// Rows of block tokens that are looked at: 4096 tokens or a micro-batch, one row at least.
std::int64_t rows_measured(const RunConfig& config);

Coordinates coordinates(Gpt& gpt, const MicroBatch& batch);

/// mean |now| and mean |now − start| of every quantity, in the order of coord_quantities. batch: rows in
/// both.
std::pair<std::vector<double>, std::vector<double>> compare_coordinates(const Coordinates& now,
                                                                        const Coordinates& start,
                                                                        const Gpt& gpt, std::int64_t batch);

}  // namespace weightscope

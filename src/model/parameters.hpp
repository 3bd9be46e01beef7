#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "config/run_config.hpp"

namespace weightscope {

/// One tensor of the model. Names are GPT-2's; Linear weights are [out, in].
struct Parameter {
  std::string name;
  std::vector<std::int64_t> shape;
  ParameterKind kind = ParameterKind::linear;
  int layer = -1;            ///< -1 outside the blocks
  std::int64_t offset = 0;   ///< first element in the flat buffers
  std::int64_t storage = 0;  ///< elements reserved there: numel, or more where rows are padded
  double lr_scale = 1;       ///< of optimizer.lr; muP's is base width over width for hidden matrices
  std::int64_t numel() const;
  std::int64_t rows() const { return shape[0]; }
  std::int64_t columns() const { return shape.size() > 1 ? shape[1] : 1; }
  bool decays() const { return shape.size() > 1; }  ///< weight decay acts on matrices only
};

/// All tensors in the order of GPT-2's named_parameters(): wte, wpe, h.0 …, ln_f, lm_head (when untied).
/// Offsets place them in the order in which backward finishes them (ln_f and the head first, the last block
/// before the first, wte at the end), so that finished gradients are always a prefix; each starts at a
/// multiple of 64 elements. Vocabulary rows are padded to 128.
std::vector<Parameter> parameter_table(const ModelConfig& model);

/// Elements of a flat buffer that holds the table, rounded up so that each of `world` equal shards is a
/// multiple of 64: kernels read them 16 bytes at a time.
std::int64_t flat_size(const std::vector<Parameter>& table, int world);

/// "[2304, 768]"
std::string shape_text(const std::vector<std::int64_t>& shape);

inline std::int64_t padded_vocab(std::int64_t vocab) { return (vocab + 127) / 128 * 128; }

}  // namespace weightscope

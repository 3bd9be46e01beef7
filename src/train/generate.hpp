#pragma once
#include <cstdint>
#include <vector>

#include "core/philox.hpp"
#include "model/gpt.hpp"

namespace weightscope {

struct Sampling {
  std::int64_t tokens = 200;
  double temperature = 0.8;  ///< 0 = always the most likely token
  std::int64_t top_k = 0;    ///< 0 = all
  std::uint64_t seed = 1337;
  std::int64_t vocab = 0;  ///< only ids below it are drawn, those that the tokenizer knows; 0 = all
};

/// Continues a prompt token by token with a sliding window of model.block tokens. A pure function of its
/// arguments. Returns the new tokens. Error{config} for an empty prompt and for ids that the
/// model does not have.
std::vector<std::uint16_t> generate(Gpt& gpt, const ParamStore& store,
                                    const std::vector<std::uint16_t>& prompt, const Sampling& how);

}  // namespace weightscope

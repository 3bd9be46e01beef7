#pragma once
#include <string>
#include <vector>

#include "model/param_store.hpp"

namespace weightscope {

/// What one parameter is drawn from, and why.
struct PlannedInit {
  int parameter = 0;  ///< index in ParamStore::parameters()
  Distribution distribution;
  std::string scheme;   ///< name of the row of the scheme table, or "rule: NAME"
  std::string tied_to;  ///< "lm_head.weight" for a tied wte, else ""
  std::string note;     ///< in words, where a reader would be surprised
};

/// Visits the modules as `apply(weightInits)` does — embeddings, blocks, final LayerNorm, head — and keeps
/// the last writer of each tensor: a tied wte is written by the Embedding first and by the head's Linear
/// last. Rules of the configuration come after, in order. Error{config} for a rule that matches nothing.
std::vector<PlannedInit> plan_initialization(const RunConfig& config, const std::vector<Parameter>& table);

/// Fills the master weights of this rank; rank 0 does so before the broadcast. Element i of a tensor is a
/// pure function of (seed, name, i), whatever the number of ranks, threads or the device. Refreshes the bf16
/// copy.
void initialize(const ParamStore& store, const std::vector<PlannedInit>& plan, std::uint64_t seed);

/// Shell-like match where * stands for any run of characters.
bool glob_match(const std::string& pattern, const std::string& name);

}  // namespace weightscope

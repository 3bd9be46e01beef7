#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "config/run_config.hpp"
#include "model/init_report.hpp"

namespace weightscope {

/// A checkpoint with the tensor names of GPT-NeoX (Pythia), as far as its initialization goes: the same
/// blocks under other names, without position embeddings. Each tensor was read, measured and let go of.
struct NeoxAudit {
  ModelConfig model;
  std::vector<Parameter> table;        ///< of the tensors that are there, with GPT-2's names
  std::vector<AuditedTensor> tensors;  ///< of the same order; names as in the file
  std::vector<std::string> notes;      ///< tensors that are missing or that nobody knows
};

/// Whether config.json of this directory says so.
bool is_gpt_neox(const std::filesystem::path& directory);

/// From config.json and all *.safetensors of the directory, in one file or many. A directory with only some
/// of the tensors is audited, too: what is missing is noted. Error{input} naming file and key or tensor.
NeoxAudit measure_gpt_neox(const std::filesystem::path& directory);

/// "h.3.attn.c_attn.weight" → "gpt_neox.layers.3.attention.query_key_value.weight"; "" for what it does not
/// have.
std::string gpt_neox_name(const std::string& name);

}  // namespace weightscope

#pragma once
#include <filesystem>
#include <string>

#include "config/run_config.hpp"

namespace weightscope {

/// config.json of Hugging Face's GPT-2. Error{input} names the file and the key.
ModelConfig model_from_hf_config(const std::filesystem::path& file);
/// config.json of GPT-NeoX: its blocks as ours have them. Positions are rotary there: `block` is their limit.
ModelConfig model_from_neox_config(const std::filesystem::path& file);
std::string hf_config_json(const ModelConfig& model);

}  // namespace weightscope

#include "model/gpt_neox.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "core/error.hpp"
#include "core/file_io.hpp"
#include "model/hf_config.hpp"
#include "model/hf_json.hpp"
#include "model/weights_io.hpp"
#include "monitor/measure.hpp"

namespace weightscope {
namespace {

struct Renamed {
  std::string_view ours, theirs;
};
constexpr std::array kInBlocks{Renamed{"ln_1", "input_layernorm"},
                               Renamed{"ln_2", "post_attention_layernorm"},
                               Renamed{"attn.c_attn", "attention.query_key_value"},
                               Renamed{"attn.c_proj", "attention.dense"},
                               Renamed{"mlp.c_fc", "mlp.dense_h_to_4h"},
                               Renamed{"mlp.c_proj", "mlp.dense_4h_to_h"}};
constexpr std::array kOutside{Renamed{"wte", "gpt_neox.embed_in"}, Renamed{"lm_head", "embed_out"},
                              Renamed{"ln_f", "gpt_neox.final_layer_norm"}};

/// Buffers that are computed, not initialized.
bool is_buffer(std::string_view name) {
  return name.ends_with(".attention.bias") || name.ends_with(".attention.masked_bias") ||
         name.ends_with(".rotary_emb.inv_freq");
}

std::vector<Safetensors> files_of(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().extension() == ".safetensors") paths.push_back(entry.path());
  require(!paths.empty(), Fault::input, directory.string() + " holds no *.safetensors");
  std::sort(paths.begin(), paths.end());
  std::vector<Safetensors> files;
  for (const auto& path : paths) files.push_back(Safetensors::open(path));
  return files;
}

Measurement measure_tensor(const TensorRef& ref, const std::filesystem::path& file) {
  const auto values = tensor_of(ref, file).to(at::kFloat).contiguous();
  WeightSlice slice;
  slice.parameter = ref.name;
  slice.weights.data = values.data_ptr(), slice.weights.count = static_cast<std::size_t>(values.numel());
  return measure(std::vector{slice}).front();
}

std::string listed(const std::string& what, const std::vector<std::string>& names) {
  std::string text = what + ": " + std::to_string(names.size()) + " (";
  for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 3); ++i)
    text += (i > 0 ? ", " : "") + names[i];
  return text + (names.size() > 3 ? ", …)" : ")");
}

}  // namespace

std::string gpt_neox_name(const std::string& name) {
  const auto dot = name.rfind('.');
  const std::string stem = name.substr(0, dot), suffix = name.substr(dot);
  for (const auto& row : kOutside)
    if (stem == row.ours) return std::string(row.theirs) + suffix;
  if (!stem.starts_with("h.")) return "";
  const auto second = stem.find('.', 2);
  for (const auto& row : kInBlocks)
    if (stem.substr(second + 1) == row.ours)
      return "gpt_neox.layers." + stem.substr(2, second - 2) + "." + std::string(row.theirs) + suffix;
  return "";
}

bool is_gpt_neox(const std::filesystem::path& directory) {
  const auto file = directory / "config.json";
  return is_there(file) && HfJson(file).value("model_type", std::string()) == "gpt_neox";
}

NeoxAudit measure_gpt_neox(const std::filesystem::path& directory) {
  NeoxAudit audit;
  audit.model = model_from_neox_config(directory / "config.json");
  const auto files = files_of(directory);
  std::vector<std::string> missing, unknown;
  std::set<std::string> known;
  for (auto& p : parameter_table(audit.model)) {
    const auto name = gpt_neox_name(p.name);
    if (name.empty()) continue;
    known.insert(name);
    const auto holds = [&](const Safetensors& file) { return file.find(name) != nullptr; };
    const auto file = std::find_if(files.begin(), files.end(), holds);
    if (file == files.end()) {
      missing.push_back(name);
      continue;
    }
    const auto& ref = *file->find(name);
    require(ref.shape == p.shape, Fault::input,
            file->path().string() + ": " + name + " does not have the shape that config.json asks for");
    audit.tensors.push_back({name, nullptr, measure_tensor(ref, file->path()), ref.dtype});
    audit.table.push_back(std::move(p));
  }
  require(!audit.tensors.empty(), Fault::input,
          directory.string() + ": no tensor with a name of GPT-NeoX, such as gpt_neox.embed_in.weight");
  for (std::size_t i = 0; i < audit.table.size(); ++i) audit.tensors[i].parameter = &audit.table[i];
  for (const auto& file : files) {
    for (const auto& ref : file.tensors())
      if (!known.contains(ref.name) && !is_buffer(ref.name)) unknown.push_back(ref.name);
    for (const auto& name : file.unsupported())
      if (!is_buffer(name.substr(0, name.find(' ')))) unknown.push_back(name);
  }
  if (!missing.empty()) audit.notes.push_back(listed("tensors of the model that no file holds", missing));
  if (!unknown.empty()) audit.notes.push_back(listed("tensors that were not audited", unknown));
  return audit;
}

}  // namespace weightscope

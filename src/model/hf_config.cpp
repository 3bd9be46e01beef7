#include "model/hf_config.hpp"

#include "config/config.hpp"
#include "core/error.hpp"
#include "core/mapped_file.hpp"
#include "model/hf_json.hpp"

namespace weightscope {

HfJson::HfJson(const std::filesystem::path& file) : file_(file) {
  json_ = nlohmann::json::parse(read_json_text(file, Fault::input), nullptr, /*allow_exceptions=*/false);
  if (!json_.is_object()) fail("is not a JSON object");
}

void HfJson::fail(const std::string& why) const { throw Error(Fault::input, file_.string() + ": " + why); }

int HfJson::integer(const char* key) const {
  if (!json_.contains(key) || !json_[key].is_number_integer())
    fail(std::string(key) + " is missing or no integer");
  const auto value = json_[key].get<std::int64_t>();
  if (value < 1 || value > (1 << 24)) fail(std::string(key) + " is out of range");
  return static_cast<int>(value);
}

ModelConfig model_from_hf_config(const std::filesystem::path& file) {
  const HfJson json(file);
  if (json.value("model_type", std::string("gpt2")) != "gpt2")
    json.fail("model_type is not gpt2; only the GPT-2 architecture can be read");
  ModelConfig m;
  m.layers = json.integer("n_layer"), m.heads = json.integer("n_head"), m.width = json.integer("n_embd");
  m.block = json.integer("n_positions"), m.vocab = json.integer("vocab_size");
  if (m.width % m.heads != 0) json.fail("n_head does not divide n_embd");
  if (json.has("n_inner")) {
    const int inner = json.integer("n_inner");
    if (inner % m.width != 0) json.fail("n_inner is not a multiple of n_embd");
    m.mlp_ratio = inner / m.width;
  }
  const auto activation = json.value("activation_function", std::string("gelu_new"));
  if (activation == "gelu")
    m.activation = Activation::gelu;
  else if (activation != "gelu_new" && activation != "gelu_pytorch_tanh")
    json.fail("activation_function " + activation + " is not gelu or gelu_new");
  if (json.value("scale_attn_by_inverse_layer_idx", false))
    json.fail("scale_attn_by_inverse_layer_idx is not supported");
  if (!json.value("scale_attn_weights", true)) json.fail("scale_attn_weights: false is not supported");
  if (json.value("layer_norm_epsilon", 1e-5) != 1e-5) json.fail("layer_norm_epsilon is not 1e-5");
  m.tied = json.value("tie_word_embeddings", true);
  check_limits(m, file.string());
  return m;
}

ModelConfig model_from_neox_config(const std::filesystem::path& file) {
  const HfJson json(file);
  ModelConfig m;
  m.layers = json.integer("num_hidden_layers"), m.heads = json.integer("num_attention_heads");
  m.width = json.integer("hidden_size"), m.vocab = json.integer("vocab_size");
  m.block = json.integer("max_position_embeddings");
  if (m.width % m.heads != 0) json.fail("num_attention_heads does not divide hidden_size");
  const int inner = json.integer("intermediate_size");
  if (inner % m.width != 0) json.fail("intermediate_size is not a multiple of hidden_size");
  m.mlp_ratio = inner / m.width;
  m.tied = json.value("tie_word_embeddings", false);
  m.bias = json.value("attention_bias", true);
  check_limits(m, file.string());
  return m;
}

std::string hf_config_json(const ModelConfig& m) {
  const nlohmann::ordered_json json{
      {"architectures", {"GPT2LMHeadModel"}},
      {"model_type", "gpt2"},
      {"activation_function", m.activation == Activation::gelu ? "gelu" : "gelu_new"},
      {"n_layer", m.layers},
      {"n_head", m.heads},
      {"n_embd", m.width},
      {"n_positions", m.block},
      {"n_ctx", m.block},
      {"n_inner", m.mlp_ratio * m.width},
      {"vocab_size", m.vocab},
      {"layer_norm_epsilon", 1e-5},
      {"attn_pdrop", m.dropout},
      {"embd_pdrop", m.dropout},
      {"resid_pdrop", m.dropout},
      {"tie_word_embeddings", m.tied},
      {"bos_token_id", nullptr},
      {"eos_token_id", nullptr},
      {"dtype", "float32"}};
  return json.dump(2) + "\n";
}

}  // namespace weightscope

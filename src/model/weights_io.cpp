#include "model/weights_io.hpp"

#include <ATen/ATen.h>

#include "config/config.hpp"
#include "core/error.hpp"
#include "core/file_io.hpp"
#include "model/hf_config.hpp"
#include "model/mup.hpp"

namespace weightscope {

at::Tensor tensor_of(const TensorRef& ref, const std::filesystem::path& file) {
  at::ScalarType type{};
  switch (ref.dtype) {
    case DType::f32:
      type = at::kFloat;
      break;
    case DType::f64:
      type = at::kDouble;
      break;
    case DType::bf16:
      type = at::kBFloat16;
      break;
    case DType::f16:
      type = at::kHalf;
      break;
    default:
      throw Error(Fault::input, file.string() + ": " + ref.name + " has a dtype that is no weight");
  }
  return at::from_blob(const_cast<void*>(ref.data), ref.shape, at::TensorOptions().dtype(type));
}

namespace {

bool is_conv1d(const Parameter& p) { return p.layer >= 0 && p.shape.size() == 2; }

const TensorRef* find_hf(const Safetensors& file, const std::string& name) {
  const auto* plain = file.find(name);
  return plain != nullptr ? plain : file.find("transformer." + name);
}

/// The tensor of a parameter, in the shape that the file should have it in.
const TensorRef& hf_tensor(const Safetensors& file, const Parameter& p) {
  const auto* ref = find_hf(file, p.name);
  require(ref != nullptr, Fault::input, file.path().string() + ": no tensor " + p.name);
  auto shape = p.shape;
  if (is_conv1d(p)) std::swap(shape[0], shape[1]);
  require(ref->shape == shape, Fault::input,
          file.path().string() + ": " + p.name + " does not have the shape that config.json asks for");
  return *ref;
}

const TensorRef& flat_tensor(const Safetensors& file, const std::string& prefix, const Parameter& p) {
  const auto* ref = file.find(prefix + p.name);
  require(ref != nullptr && ref->shape == p.shape && ref->dtype == DType::f32, Fault::input,
          file.path().string() + ": " + prefix + p.name +
              " is missing or has another shape (the configuration describes another model)");
  return *ref;
}

void load_hf(const Safetensors& file, const ParamStore& store) {
  for (const auto& p : store.parameters()) {
    const auto source = tensor_of(hf_tensor(file, p), file.path());
    ParamStore::view(store.master(), p).copy_(is_conv1d(p) ? source.t() : source);
  }
}

}  // namespace

NamedTensors named_tensors(const ParamStore& store, const at::Tensor& flat, const std::string& prefix) {
  NamedTensors out;
  for (const auto& p : store.parameters()) {
    out.copies.push_back(ParamStore::view(flat, p).cpu());
    out.refs.push_back({prefix + p.name, DType::f32, p.shape, out.copies.back().data_ptr()});
  }
  return out;
}

void load_flat(const Safetensors& file, const std::string& prefix, const ParamStore& store,
               const at::Tensor& flat) {
  for (const auto& p : store.parameters())
    ParamStore::view(flat, p).copy_(tensor_of(flat_tensor(file, prefix, p), file.path()));
}

namespace {

void expect_model(const std::filesystem::path& path) {
  std::error_code unknown;
  require(std::filesystem::is_directory(path, unknown), Fault::input,
          path.string() + (is_there(path) ? " is a file" : " does not exist") +
              " (a checkpoint, a run or a Hugging Face directory was expected)");
}

}  // namespace

std::filesystem::path resolve_checkpoint(const std::filesystem::path& path) {
  if (is_there(path / "manifest.json")) return path;
  const auto steps = checkpoint_steps(path);
  return steps.empty() ? std::filesystem::path() : checkpoint_directory(path, steps.back());
}

void load_model(const std::filesystem::path& path, const ParamStore& store) {
  expect_model(path);
  const auto checkpoint = resolve_checkpoint(path);
  if (!checkpoint.empty())
    load_flat(open_checkpoint(checkpoint).model, "", store, store.master());
  else
    load_hf(Safetensors::open(path / "model.safetensors"), store);
  store.refresh_work();
}

namespace {

std::string text_of(int value) { return std::to_string(value); }
std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(Activation value) { return value == Activation::gelu ? "gelu" : "gelu_tanh"; }

/// Weights of equal shapes make another function where these differ: tensors may be left over, too.
void expect_same_architecture(const ModelConfig& now, const ModelConfig& then, const std::string& from) {
  std::string differ;
  const auto same = [&](const char* key, const auto& mine, const auto& theirs) {
    if (mine != theirs)
      differ += (differ.empty() ? "" : ", ") + std::string("model.") + key + " is " + text_of(theirs) +
                " there and " + text_of(mine) + " here";
  };
  same("layers", now.layers, then.layers);
  same("heads", now.heads, then.heads);
  same("bias", now.bias, then.bias);
  same("tied", now.tied, then.tied);
  same("qk_norm", now.qk_norm, then.qk_norm);
  same("activation", now.activation, then.activation);
  require(differ.empty(), Fault::input, "init.from = " + from + " holds another model: " + differ);
}

/// Nobody says what a lone model.safetensors is made for.
bool describes_its_model(const std::filesystem::path& from) {
  return !resolve_checkpoint(from).empty() || is_there(from / "config.json");
}

/// Hugging Face's GPT-2 always has biases; export_hf writes zeros for those that a model lacks.
bool biases_are_zero(const std::filesystem::path& from, const ModelConfig& theirs) {
  const auto file = Safetensors::open(from / "model.safetensors");
  const auto table = parameter_table(theirs);
  return std::all_of(table.begin(), table.end(), [&](const Parameter& p) {
    return !p.name.ends_with(".bias") || tensor_of(hf_tensor(file, p), file.path()).eq(0).all().item<bool>();
  });
}

}  // namespace

void load_initial_weights(const RunConfig& config, const ParamStore& store) {
  const std::filesystem::path from = config.init.from;
  expect_model(from);
  auto theirs = ModelConfig();
  if (describes_its_model(from)) {
    theirs = model_of(from);
    if (theirs.bias && !config.model.bias && resolve_checkpoint(from).empty())
      theirs.bias = !biases_are_zero(from, theirs);
    expect_same_architecture(config.model, theirs, from.string());
  }
  for (const auto& [what, now, then] :
       {std::tuple{"logits", mup_logit_scale(config.model), mup_logit_scale(theirs)},
        {"attention logits", mup_attention_scale(config.model), mup_attention_scale(theirs)}})
    require(now == then, Fault::input,
            "init.from = " + from.string() + " holds weights for " + what + " times " + std::to_string(then) +
                ", and the configuration multiplies them by " + std::to_string(now) +
                "; model.mup_base_width and model.mup_base_head_width must be those of the checkpoint");
  load_model(from, store);
}

ModelConfig model_of(const std::filesystem::path& path) {
  expect_model(path);
  const auto checkpoint = resolve_checkpoint(path);
  // A model takes memory by what its description says: first the file must hold such a model.
  if (checkpoint.empty()) {
    const auto model = model_from_hf_config(path / "config.json");
    const auto file = Safetensors::open(path / "model.safetensors");
    for (const auto& p : parameter_table(model)) hf_tensor(file, p);
    return model;
  }
  const auto opened = open_checkpoint(checkpoint);
  const auto model =
      parse_stored_config(opened.info.config_yaml, (checkpoint / "manifest.json").string()).model;
  for (const auto& p : parameter_table(model)) flat_tensor(opened.model, "", p);
  return model;
}

namespace {

/// A parameter on the host with what muP multiplies its output by: GPT-2 has no such scales.
at::Tensor folded(const ParamStore& store, const Parameter& p, const ModelConfig& model) {
  auto value = ParamStore::view(store.master(), p).cpu().clone();
  if (p.name.starts_with("ln_f.")) value.mul_(mup_logit_scale(model));
  if (p.name.find(".attn.c_attn.") != std::string::npos)
    value.narrow(0, 0, model.width).mul_(mup_attention_scale(model));
  return value;
}

}  // namespace

void export_hf(const std::filesystem::path& directory, const ParamStore& store, const ModelConfig& model) {
  require(!model.qk_norm, Fault::input,
          "a model with model.qk_norm cannot be exported (Hugging Face's GPT-2 has no norms of q and k, and "
          "without them it would be another model) use its checkpoint");
  make_directories(directory);
  std::vector<TensorRef> refs;
  std::vector<at::Tensor> keep;
  const auto add = [&](const std::string& name, at::Tensor value) {
    keep.push_back(std::move(value));
    refs.push_back({name, DType::f32, keep.back().sizes().vec(), keep.back().data_ptr()});
  };
  for (const auto& p : store.parameters()) {
    const auto value = folded(store, p, model);
    add(p.name == "lm_head.weight" ? p.name : "transformer." + p.name,
        is_conv1d(p) ? value.t().contiguous() : value);
    // GPT-2 has biases everywhere: a model without them is one whose biases are zero.
    if (!model.bias && p.name.ends_with(".weight") && (p.layer >= 0 || p.name == "ln_f.weight"))
      add("transformer." + p.name.substr(0, p.name.size() - 6) + "bias", at::zeros({p.rows()}, at::kFloat));
  }
  write_safetensors(directory / "model.safetensors", refs, {{"format", "pt"}});
  write_file_atomically(directory / "config.json", hf_config_json(model));
}

}  // namespace weightscope

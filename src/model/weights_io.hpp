#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model/param_store.hpp"
#include "store/checkpoint.hpp"
#include "store/safetensors.hpp"

namespace weightscope {

/// A tensor of a file as it lies there, borrowed. Error{input} for a type that is no weight's.
at::Tensor tensor_of(const TensorRef& ref, const std::filesystem::path& file);

/// A flat buffer of the store's layout as named host tensors, ready to write. `copies` keeps device tensors
/// alive.
struct NamedTensors {
  std::vector<TensorRef> refs;
  std::vector<at::Tensor> copies;
};
NamedTensors named_tensors(const ParamStore& store, const at::Tensor& flat, const std::string& prefix);

/// Copies "PREFIX + name" of a file of our own layout into a flat buffer. Error{input}: missing, wrong shape
/// or dtype.
void load_flat(const Safetensors& file, const std::string& prefix, const ParamStore& store,
               const at::Tensor& flat);

/// Master weights from a checkpoint directory, a run directory (its newest checkpoint), or a Hugging Face
/// GPT-2 directory (Conv1D weights transposed; with or without the "transformer." prefix; tied head may be
/// absent). Refreshes the bf16 copy.
void load_model(const std::filesystem::path& path, const ParamStore& store);

/// load_model of init.from. Error{input} when its weights are of another architecture than the
/// configuration's, or for other scales of the logits or of attention (muP): they would be another function.
void load_initial_weights(const RunConfig& config, const ParamStore& store);

/// model.safetensors and config.json as transformers' GPT2LMHeadModel reads them. muP's scales go into the
/// weights they act on: of attention into q's rows of c_attn, of the logits into ln_f. Error{input} when
/// GPT-2 has no place for the model.
void export_hf(const std::filesystem::path& directory, const ParamStore& store, const ModelConfig& model);

/// The architecture of a checkpoint or Hugging Face directory, whose tensors are known to have its shapes.
ModelConfig model_of(const std::filesystem::path& path);
/// The checkpoint directory meant by a path: itself, or a run's newest checkpoint; "" when it is not one of
/// ours.
std::filesystem::path resolve_checkpoint(const std::filesystem::path& path);

}  // namespace weightscope

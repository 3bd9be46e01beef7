#include "model/slices.hpp"

#include <ATen/ATen.h>

#include "core/error.hpp"

namespace weightscope {
namespace {

Component component_of(const std::string& name) {
  const auto ends = [&](const char* tail) { return name.ends_with(tail); };
  if (ends(".attn.c_attn.weight")) return Component::c_attn;
  if (ends(".attn.c_proj.weight")) return Component::attn_proj;
  if (ends(".mlp.c_fc.weight")) return Component::mlp_fc;
  if (ends(".mlp.c_proj.weight")) return Component::mlp_proj;
  return Component::none;
}

const float* initial_of(const Safetensors* initial, const Parameter& p) {
  if (initial == nullptr) return nullptr;
  const auto* tensor = initial->find(p.name);
  require(tensor != nullptr && tensor->dtype == DType::f32 && tensor->numel() == p.numel(), Fault::input,
          initial->path().string() + " does not hold the initial " + p.name +
              "; remove it to go on without displacement");
  return static_cast<const float*>(tensor->data);
}

WeightSlice whole(const at::Tensor& flat, const Parameter& p, int index) {
  WeightSlice slice;
  slice.parameter = p.name;
  slice.parameter_index = index;
  slice.layer = p.layer;
  slice.component = component_of(p.name);
  slice.weights = buffer_of(ParamStore::view(flat, p));
  return slice;
}

std::vector<WeightSlice> followed(const ParamStore& store, const at::Tensor& flat, const ModelConfig& model,
                                  const Safetensors* initial) {
  std::vector<WeightSlice> slices;
  const auto& table = store.parameters();
  for (std::size_t i = 0; i < table.size(); ++i) {
    auto slice = whole(flat, table[i], static_cast<int>(i));
    slice.initial = initial_of(initial, table[i]);
    if (slice.component != Component::c_attn) {
      slices.push_back(slice);
      continue;
    }
    const std::int64_t count = table[i].numel() / (3 * model.heads);
    const auto fused = ParamStore::view(flat, table[i]).flatten();
    for (int part = 0; part < 3 * model.heads; ++part) {
      auto head = slice;
      head.component =
          std::array{Component::q, Component::k, Component::v}[static_cast<std::size_t>(part / model.heads)];
      head.head = part % model.heads;
      head.weights = buffer_of(fused.narrow(0, part * count, count));
      if (slice.initial != nullptr) head.initial = slice.initial + part * count;
      slices.push_back(head);
    }
  }
  return slices;
}

}  // namespace

std::vector<WeightSlice> weight_slices(const ParamStore& store, const ModelConfig& model,
                                       const Safetensors* initial) {
  return followed(store, store.master(), model, initial);
}

std::vector<WeightSlice> slices_of(const ParamStore& store, const at::Tensor& flat,
                                   const ModelConfig& model) {
  return followed(store, flat, model, nullptr);
}

std::vector<WeightSlice> whole_parameters(const ParamStore& store, const at::Tensor& flat,
                                          const std::string& prefix) {
  std::vector<WeightSlice> slices;
  for (std::size_t i = 0; i < store.parameters().size(); ++i) {
    slices.push_back(whole(flat, store.parameters()[i], static_cast<int>(i)));
    slices.back().parameter.insert(0, prefix);
  }
  return slices;
}

}  // namespace weightscope

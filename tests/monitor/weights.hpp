#pragma once
// Made-up weights for tests of monitor and store.
#include <string>
#include <vector>

#include "core/philox.hpp"
#include "core/weight_slice.hpp"

namespace weightscope {

inline std::vector<float> normal_weights(std::size_t n, const std::string& name, double std = 0.02,
                                         double mean = 0) {
  const Philox random(7, name);
  std::vector<float> w(n);
  for (std::size_t i = 0; i < n; ++i) w[i] = static_cast<float>(mean + std * random.normal(i));
  return w;
}

inline WeightSlice slice_of(std::vector<float>& w, const std::string& parameter = "w", int index = 0) {
  WeightSlice slice;
  slice.parameter = parameter;
  slice.parameter_index = index;
  slice.weights = {w.data(), w.size()};
  return slice;
}

/// A model of the shape that take_snapshot expects: per layer a head-wise c_attn, three more matrices, one
/// bias; one embedding.
struct MadeUpModel {
  int layers, heads;
  std::vector<std::string> names;
  std::vector<std::vector<float>> tensors, initial;

  explicit MadeUpModel(int layer_count = 3, int head_count = 2, std::size_t width = 40)
      : layers(layer_count), heads(head_count) {
    add("wte.weight", 97 * width);
    for (int l = 0; l < layers; ++l) {
      const std::string block = "h." + std::to_string(l) + ".";
      add(block + "attn.c_attn.weight", 3 * width * width);
      add(block + "attn.c_proj.weight", width * width);
      add(block + "mlp.c_fc.weight", 4 * width * width);
      add(block + "mlp.c_proj.weight", 4 * width * width);
      add(block + "mlp.c_proj.bias", width);
    }
    initial = tensors;
  }

  std::vector<WeightSlice> slices() {
    std::vector<WeightSlice> all{whole(0, -1, Component::none)};
    for (int l = 0; l < layers; ++l) {
      const int first = 1 + 5 * l;
      for (int part = 0; part < 3 * heads; ++part) all.push_back(head(first, l, part));
      all.push_back(whole(first + 1, l, Component::attn_proj));
      all.push_back(whole(first + 2, l, Component::mlp_fc));
      all.push_back(whole(first + 3, l, Component::mlp_proj));
      all.push_back(whole(first + 4, l, Component::none));
    }
    return all;
  }

 private:
  void add(const std::string& name, std::size_t n) {
    names.push_back(name);
    tensors.push_back(normal_weights(n, name));
  }
  WeightSlice whole(int index, int layer, Component component) {
    const auto i = static_cast<std::size_t>(index);
    auto slice = slice_of(tensors[i], names[i], index);
    slice.layer = layer, slice.component = component, slice.initial = initial[i].data();
    return slice;
  }
  WeightSlice head(int index, int layer, int part) {
    auto slice = whole(index, layer, static_cast<Component>(1 + part / heads));
    const std::size_t count = slice.weights.count / static_cast<std::size_t>(3 * heads),
                      offset = static_cast<std::size_t>(part) * count;
    slice.head = part % heads;
    slice.weights.data = static_cast<float*>(slice.weights.data) + offset;
    slice.weights.count = count;
    slice.initial += offset;
    return slice;
  }
};

}  // namespace weightscope

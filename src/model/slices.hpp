#pragma once
#include <vector>

#include "core/weight_slice.hpp"
#include "model/param_store.hpp"
#include "store/safetensors.hpp"

namespace weightscope {

/// Every parameter exactly once as the monitor follows it: c_attn.weight by head of q, k and v ([3C, C]: head
/// h of q is rows [h·D, (h+1)·D)), everything else whole. `initial` (may be null): the weights of step 0, for
/// displacement.
std::vector<WeightSlice> weight_slices(const ParamStore& store, const ModelConfig& model,
                                       const Safetensors* initial);

/// The same slices of `flat`, something of the size of the master weights such as their gradient.
std::vector<WeightSlice> slices_of(const ParamStore& store, const at::Tensor& flat, const ModelConfig& model);

/// One slice per parameter, in table order, of `flat`: the master weights or something of their size, such as
/// a moment. prefix: before each name.
std::vector<WeightSlice> whole_parameters(const ParamStore& store, const at::Tensor& flat,
                                          const std::string& prefix = "");

}  // namespace weightscope

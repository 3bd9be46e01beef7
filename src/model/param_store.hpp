#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/buffer.hpp"
#include "model/parameters.hpp"

namespace weightscope {

/// Element types of a run. work: what GEMMs read (weights' copy, activations); full: master weights,
/// gradients, residual stream, statistics. fp32 = {f32, f32}, bf16 = {bf16, f32}; {f64, f64} exists for the
/// tests against autograd.
struct Types {
  at::ScalarType work, full;
  bool mixed() const { return work != full; }
};
Types types_of(Precision precision);

/// Where tensors live. index: CUDA device.
struct DevicePlace {
  Place place = Place::host;
  int index = 0;
  at::TensorOptions options(at::ScalarType type) const;
};

/// Memory of the flat buffers, one dimension, same length. work is master itself when their types are one.
struct FlatBuffers {
  at::Tensor master, grad, work;
};

/// All parameters in flat buffers: `master` (full), `grad` (full), `work` (a bf16 copy, or master itself).
/// Views are cheap and alias them.
class ParamStore {
 public:
  ParamStore(const ModelConfig& model, Types types, DevicePlace place, int world);
  /// In memory that somebody else holds, flat_size(table, world) elements each, on one device.
  ParamStore(const ModelConfig& model, Types types, FlatBuffers memory);

  const std::vector<Parameter>& parameters() const { return table_; }
  const Parameter& find(const std::string& name) const;  ///< Error{internal} when absent
  bool has(const std::string& name) const;

  const at::Tensor& master() const { return master_; }
  const at::Tensor& grad() const { return grad_; }
  const at::Tensor& work() const { return work_; }
  std::int64_t size() const { return master_.numel(); }
  Types types() const { return types_; }
  DevicePlace place() const { return place_; }

  /// Shaped view of one parameter in any flat buffer of this layout.
  static at::Tensor view(const at::Tensor& flat, const Parameter& p);
  /// The same with the padding rows of the vocabulary, [Vp, C].
  static at::Tensor padded_view(const at::Tensor& flat, const Parameter& p);

  /// work = master rounded to bf16; nothing when they are one buffer. After initialization, loading and
  /// broadcasting.
  void refresh_work() const { refresh_work(0, size()); }
  void refresh_work(std::int64_t begin, std::int64_t end) const;

 private:
  Types types_;
  DevicePlace place_;
  std::vector<Parameter> table_;
  at::Tensor master_, grad_, work_;
};

/// A host or device tensor as comm, monitor and store see it. Contiguous.
Buffer buffer_of(const at::Tensor& t);

}  // namespace weightscope

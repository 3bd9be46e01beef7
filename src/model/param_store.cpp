#include "model/param_store.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/error.hpp"
#include "model/device.hpp"

namespace weightscope {

Types types_of(Precision precision) {
  return precision == Precision::bf16 ? Types{at::kBFloat16, at::kFloat} : Types{at::kFloat, at::kFloat};
}

at::TensorOptions DevicePlace::options(at::ScalarType type) const {
  const auto device = place == Place::cuda   ? at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index))
                      : place == Place::meta ? at::Device(at::kMeta)
                                             : at::Device(at::kCPU);
  return at::TensorOptions().dtype(type).device(device);
}

ParamStore::ParamStore(const ModelConfig& model, Types types, DevicePlace place, int world)
    : types_(types), place_(place), table_(parameter_table(model)) {
  const std::int64_t n = flat_size(table_, world);
  master_ = at::zeros({n}, place.options(types.full));
  grad_ = at::zeros({n}, place.options(types.full));
  work_ = types.mixed() ? at::zeros({n}, place.options(types.work)) : master_;
}

ParamStore::ParamStore(const ModelConfig& model, Types types, FlatBuffers memory)
    : types_(types),
      place_(memory.master.is_cuda() ? DevicePlace{Place::cuda, memory.master.get_device()} : DevicePlace{}),
      table_(parameter_table(model)),
      master_(std::move(memory.master)),
      grad_(std::move(memory.grad)),
      work_(std::move(memory.work)) {}

const Parameter& ParamStore::find(const std::string& name) const {
  const auto at = std::find_if(table_.begin(), table_.end(), [&](const auto& p) { return p.name == name; });
  require(at != table_.end(), Fault::internal, "no parameter named " + name);
  return *at;
}

bool ParamStore::has(const std::string& name) const {
  return std::any_of(table_.begin(), table_.end(), [&](const auto& p) { return p.name == name; });
}

at::Tensor ParamStore::view(const at::Tensor& flat, const Parameter& p) {
  return flat.narrow(0, p.offset, p.numel()).view(p.shape);
}

at::Tensor ParamStore::padded_view(const at::Tensor& flat, const Parameter& p) {
  return flat.narrow(0, p.offset, p.storage).view({p.storage / p.columns(), p.columns()});
}

void ParamStore::refresh_work(std::int64_t begin, std::int64_t end) const {
  if (types_.mixed()) work_.narrow(0, begin, end - begin).copy_(master_.narrow(0, begin, end - begin));
}

Buffer buffer_of(const at::Tensor& t) {
  Buffer b;
  b.data = t.data_ptr();
  b.count = static_cast<std::size_t>(t.numel());
  switch (t.scalar_type()) {
    case at::kBFloat16:
      b.dtype = DType::bf16;
      break;
    case at::kDouble:
      b.dtype = DType::f64;
      break;
    case at::kLong:
      b.dtype = DType::i64;
      break;
    default:
      b.dtype = DType::f32;
  }
  b.place = t.is_cuda() ? Place::cuda : Place::host;
  b.stream = t.is_cuda() ? current_stream(t.get_device()) : nullptr;
  return b;
}

}  // namespace weightscope

#include "train/registered_buffers.hpp"

#include <ATen/ATen.h>

#include "core/log.hpp"

namespace weightscope {

std::optional<FlatBuffers> registered_buffers(const RunConfig& config, DevicePlace place, TensorComm& comm,
                                              const HostComm& host) {
  if (!config.parallel.registered_buffers || place.place != Place::cuda || host.size() == 1) return {};
  const auto types = types_of(config.train.precision);
  const std::int64_t n = flat_size(parameter_table(config.model), host.size());
  const auto bytes = static_cast<std::size_t>(n) * c10::elementSize(types.full);
  auto *master = comm.registered_memory(bytes), *grad = comm.registered_memory(bytes);
  if (master == nullptr || grad == nullptr) {
    if (host.is_root())
      log_warning("parallel.registered_buffers: NCCL offers none on these GPUs; going on without");
    return {};
  }
  const auto zeros = [&](void* memory) {
    return at::from_blob(memory, {n}, place.options(types.full)).zero_();
  };
  FlatBuffers buffers{zeros(master), zeros(grad), {}};
  buffers.work = types.mixed() ? at::zeros({n}, place.options(types.work)) : buffers.master;
  return buffers;
}

}  // namespace weightscope

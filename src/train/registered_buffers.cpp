#include "train/registered_buffers.hpp"

#include <ATen/ATen.h>

#include <cstddef>

#include "core/log.hpp"

namespace weightscope {

std::optional<FlatBuffers> registered_buffers(const RunConfig& config, DevicePlace place, TensorComm& comm,
                                              const HostComm& host) {
  if (!config.parallel.registered_buffers || place.place != Place::cuda || host.size() == 1) return {};
  const auto types = types_of(config.train.precision);
  const std::int64_t n = flat_size(parameter_table(config.model), host.size());
  // In one piece: there is memory for both or for none. Aligned as cudaMalloc aligns.
  const auto bytes = (static_cast<std::size_t>(n) * c10::elementSize(types.full) + 255) / 256 * 256;
  auto* memory = static_cast<std::byte*>(comm.registered_memory(2 * bytes));
  if (memory == nullptr) {
    if (host.is_root())
      log_warning("parallel.registered_buffers: NCCL offers none on these GPUs; going on without");
    return {};
  }
  const auto zeros = [&](std::byte* from) {
    return at::from_blob(from, {n}, place.options(types.full)).zero_();
  };
  FlatBuffers buffers{zeros(memory), zeros(memory + bytes), {}};
  buffers.work = types.mixed() ? at::zeros({n}, place.options(types.work)) : buffers.master;
  return buffers;
}

}  // namespace weightscope

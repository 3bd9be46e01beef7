#pragma once
#include <optional>

#include "comm/tensor_comm.hpp"
#include "config/run_config.hpp"
#include "model/param_store.hpp"

namespace weightscope {

/// Flat buffers for a ParamStore on a GPU whose weights and gradients lie in memory of `comm`, which must
/// outlive it. None when the run does not ask for it (parallel.registered_buffers), has no peers or no GPU,
/// and, with a warning, when the communicator offers none. Collective.
std::optional<FlatBuffers> registered_buffers(const RunConfig& config, DevicePlace place, TensorComm& comm,
                                              const HostComm& host);

}  // namespace weightscope

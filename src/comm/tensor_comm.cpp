#include "comm/tensor_comm.hpp"

#include "comm/watchdog.hpp"

namespace weightscope {

TensorComm TensorComm::make(const HostComm& host, Place place, int device, double timeout_s) {
  if (host.size() == 1) return TensorComm(SoloBackend{});
  if (place == Place::cuda) {
    NcclBackend nccl(host, device, timeout_s);
    nccl.watch(end_waiting);
    return TensorComm(std::move(nccl));
  }
  return TensorComm(MpiBackend(host));
}

const char* TensorComm::name() const {
  constexpr const char* kNames[] = {"solo", "mpi", "nccl"};
  return kNames[backend_.index()];
}

}  // namespace weightscope

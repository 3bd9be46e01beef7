#include "comm/tensor_comm.hpp"
#include "comm/versions.hpp"
#include "core/error.hpp"

namespace weightscope {

struct NcclBackend::Impl {};

NcclBackend::NcclBackend(const HostComm&, int, double) {
  throw Error(
      Fault::config,
      "this program was built without NCCL; run launch/setup.sh --cuda on where nvcc is, and build again");
}
NcclBackend::NcclBackend(NcclBackend&&) noexcept = default;
NcclBackend& NcclBackend::operator=(NcclBackend&&) noexcept = default;
NcclBackend::~NcclBackend() = default;
void NcclBackend::watch(const std::function<void(const std::string&)>&) {}
void* NcclBackend::registered_memory(std::size_t) { return nullptr; }
void NcclBackend::all_reduce_mean(Buffer) {}
void NcclBackend::all_reduce_sum_tree(Buffer, Wire) {}
void NcclBackend::reduce_scatter_sum_tree(Buffer, Buffer, Wire) {}
void NcclBackend::reduce_mean(Buffer, int) {}
void NcclBackend::all_gather(Buffer, Buffer) {}
void NcclBackend::broadcast(Buffer, int) {}
void NcclBackend::wait(void*) {}
void NcclBackend::mark(std::size_t) {}
void NcclBackend::wait_for(std::size_t, void*) {}
void NcclBackend::begin_recording() {}
std::int64_t NcclBackend::end_recording() { return 0; }
void NcclBackend::replayed(std::int64_t, void*) {}

std::string nccl_version() { return "none (built for CPU)"; }

}  // namespace weightscope

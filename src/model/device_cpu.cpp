#include <torch/version.h>

#include "core/error.hpp"
#include "model/device.hpp"
#include "model/device_work.hpp"

namespace weightscope {
namespace {
[[noreturn]] void unavailable() {
  throw Error(Fault::internal, "a CUDA device was used in a program built without CUDA");
}
}  // namespace

int cuda_devices() { return 0; }
void* current_stream(int) { unavailable(); }
void select_device(int) { unavailable(); }
void synchronize(int) { unavailable(); }
std::int64_t peak_device_bytes(int) { unavailable(); }
const char* torch_version() { return TORCH_VERSION; }
const char* device_support() { return "none (built for CPU)"; }

struct DeviceGraph::Impl {};
DeviceGraph::DeviceGraph() = default;
DeviceGraph::~DeviceGraph() = default;
DeviceGraph::DeviceGraph(DeviceGraph&&) noexcept = default;
bool DeviceGraph::ready() const { return false; }
void DeviceGraph::begin() { unavailable(); }
void DeviceGraph::end() { unavailable(); }
void DeviceGraph::abandon() {}
void DeviceGraph::replay() { unavailable(); }

struct CopyStream::Impl {};
CopyStream::CopyStream() = default;
CopyStream::~CopyStream() = default;
CopyStream::CopyStream(CopyStream&&) noexcept = default;
void CopyStream::copy(at::Tensor, const at::Tensor&) { unavailable(); }
void CopyStream::join() { unavailable(); }

}  // namespace weightscope

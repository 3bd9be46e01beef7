#include <ATen/ATen.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <torch/version.h>

#include <string>

#include "model/device.hpp"
#include "model/device_work.hpp"

namespace weightscope {

int cuda_devices() { return c10::cuda::device_count(); }
void* current_stream(int device) {
  return c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(device)).stream();
}
void select_device(int device) {
  const auto index = static_cast<c10::DeviceIndex>(device);
  c10::cuda::set_device(index);
  if (c10::cuda::getCurrentCUDAStream(index) == c10::cuda::getDefaultCUDAStream(index))
    c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, index));
}
void synchronize(int device) {
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(device));
  c10::cuda::device_synchronize();
}
std::int64_t peak_device_bytes(int device) {
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(device));
  return stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
}
const char* torch_version() { return TORCH_VERSION; }
const char* device_support() {
  static const std::string kVersion =
      std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
  return kVersion.c_str();
}

struct DeviceGraph::Impl {
  at::cuda::CUDAGraph graph;
  bool recorded = false;
};
DeviceGraph::DeviceGraph() = default;
DeviceGraph::~DeviceGraph() = default;
DeviceGraph::DeviceGraph(DeviceGraph&&) noexcept = default;
bool DeviceGraph::ready() const { return impl_ && impl_->recorded; }
void DeviceGraph::begin() {
  impl_ = std::make_unique<Impl>();
  // Thread-local: what loader and writer threads do meanwhile is none of the graph's business.
  impl_->graph.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
}
void DeviceGraph::end() {
  impl_->graph.capture_end();
  impl_->recorded = true;
}
void DeviceGraph::abandon() {
  if (impl_ && !impl_->recorded) try {
      impl_->graph.capture_end();
    } catch (const std::exception&) {  // of a recording that went wrong, or had not begun
    }
  impl_.reset();
}
void DeviceGraph::replay() { impl_->graph.replay(); }

struct CopyStream::Impl {
  c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool(/*isHighPriority=*/true);
  at::cuda::CUDAEvent copied;
};
CopyStream::CopyStream() : impl_(std::make_unique<Impl>()) {}
CopyStream::~CopyStream() = default;
CopyStream::CopyStream(CopyStream&&) noexcept = default;
void CopyStream::copy(at::Tensor to, const at::Tensor& from) {
  const c10::cuda::CUDAStreamGuard guard(impl_->stream);
  to.copy_(from, /*non_blocking=*/true);
  impl_->copied.record(impl_->stream);
}
void CopyStream::join() { impl_->copied.block(c10::cuda::getCurrentCUDAStream()); }

}  // namespace weightscope

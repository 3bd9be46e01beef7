#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include <torch/version.h>

#include "model/device.hpp"

namespace weightscope {

int cuda_devices() { return c10::cuda::device_count(); }
void* current_stream(int device) {
  return c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(device)).stream();
}
void select_device(int device) { c10::cuda::set_device(static_cast<c10::DeviceIndex>(device)); }
void synchronize(int device) {
  select_device(device);
  c10::cuda::device_synchronize();
}
const char* torch_version() { return TORCH_VERSION; }
const char* device_support() { return "CUDA"; }

}  // namespace weightscope

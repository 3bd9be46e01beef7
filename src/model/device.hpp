#pragma once
#include <cstdint>
namespace weightscope {

/// What the program needs to know of CUDA through LibTorch. device_cuda.cpp, or device_cpu.cpp in a build
/// without CUDA.
int cuda_devices();                ///< usable GPUs; 0 without a driver
void* current_stream(int device);  ///< LibTorch's current cudaStream_t
/// For this thread, with a stream of its own: graphs cannot be captured on the default stream.
void select_device(int device);
void synchronize(int device);                ///< the host waits for the device; for timing and shutdown only
std::int64_t peak_device_bytes(int device);  ///< the most that tensors took at a time
const char* torch_version();                 ///< of the LibTorch this program was compiled with
const char* device_support();                ///< "13.0" or "none (built for CPU)"

}  // namespace weightscope

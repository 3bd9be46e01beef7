#pragma once
// How kernels are started, and what they use of the device beyond CUDA's own names: all that
// tests/host_cuda/core/kernel.cuh, which runs the same kernels on the host, has to replace.
#include <cuda_runtime.h>

#include <cstddef>
#include <utility>

namespace weightscope::device {

/// Starts a kernel with `shared_bytes` of shared_memory() on `stream`, a cudaStream_t. The cudaError_t of the
/// launch.
template <class... P, class... A>
int launch(void (*kernel)(P...), dim3 blocks, dim3 threads, std::size_t shared_bytes, void* stream,
           A&&... arguments) {
  constexpr std::size_t kFree = 48 << 10;  // more has to be asked for
  if (shared_bytes > kFree) {
    const auto set = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                          static_cast<int>(shared_bytes));
    if (set != cudaSuccess) return set;
  }
  kernel<<<blocks, threads, shared_bytes, static_cast<cudaStream_t>(stream)>>>(std::forward<A>(arguments)...);
  return cudaGetLastError();
}

/// The most that launch() can give a block of the current device: 227 KB of compute capability 9.0, 99 KB of
/// 8.6, 8.9 and 12.0. 48 KB where it cannot be asked.
inline std::size_t most_shared_memory() {
  int device = 0, bytes = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) != cudaSuccess)
    return 48 << 10;
  return static_cast<std::size_t>(bytes);
}

/// What a block got with its launch, 32-byte aligned.
template <class T>
__device__ T* shared_memory() {
  extern __shared__ __align__(32) uint4 memory[];
  return reinterpret_cast<T*>(memory);
}

/// 2^x, within two units of the last place.
__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace weightscope::device

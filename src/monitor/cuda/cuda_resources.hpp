#pragma once
#include <cuda_runtime.h>

#include <memory>
#include <span>
#include <string>

#include "core/error.hpp"

namespace weightscope::cuda {

inline void check(int status, const char* call) {
  if (status != cudaSuccess)
    throw Error(Fault::internal, std::string(call) + ": " +
                                     cudaGetErrorString(static_cast<cudaError_t>(status)) +
                                     " (the weights could not be measured on the GPU)");
}

struct Destroy {
  void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
  void operator()(cudaEvent_t event) const { cudaEventDestroy(event); }
};
using Stream = std::unique_ptr<std::remove_pointer_t<cudaStream_t>, Destroy>;
using Event = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, Destroy>;

/// Not ordered with the default stream. Its kernels go before those of other streams: they are short.
inline Stream make_stream() {
  int least = 0, greatest = 0;
  check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, greatest), "cudaStreamCreate");
  return Stream(stream);
}

inline Event make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  return Event(event);
}

/// What follows on `later` waits for what `earlier` has been given so far.
inline void order(cudaStream_t earlier, cudaStream_t later, const Event& event) {
  check(cudaEventRecord(event.get(), earlier), "cudaEventRecord");
  check(cudaStreamWaitEvent(later, event.get(), 0), "cudaStreamWaitEvent");
}

struct FreeDevice {
  void operator()(void* memory) const { cudaFree(memory); }
};
struct FreeHost {
  void operator()(void* memory) const { cudaFreeHost(memory); }
};
template <class T>
using DeviceArray = std::unique_ptr<T[], FreeDevice>;
template <class T>
using PinnedArray = std::unique_ptr<T[], FreeHost>;

template <class T>
DeviceArray<T> device_array(std::size_t n) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, n * sizeof(T)), "cudaMalloc");
  return DeviceArray<T>(static_cast<T*>(memory));
}

template <class T>
PinnedArray<T> pinned_array(std::size_t n) {
  void* memory = nullptr;
  check(cudaHostAlloc(&memory, n * sizeof(T), cudaHostAllocDefault), "cudaHostAlloc");
  return PinnedArray<T>(static_cast<T*>(memory));
}

/// The host waits until this and earlier copies are there: those from ordinary memory may otherwise still be
/// on their way, and streams of one's own do not wait for them.
template <class T>
DeviceArray<T> on_device(std::span<const T> from) {
  auto memory = device_array<T>(from.size());
  check(cudaMemcpy(memory.get(), from.data(), from.size_bytes(), cudaMemcpyHostToDevice), "cudaMemcpy");
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  return memory;
}

}  // namespace weightscope::cuda

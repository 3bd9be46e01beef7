#include "monitor/cuda/measure_cuda.hpp"

#include <cuda_runtime.h>

#include <cstring>
#include <set>
#include <string>

#include "core/error.hpp"
#include "monitor/cuda/weight_stats.hpp"

namespace weightscope {
namespace {

void check(int status, const char* call) {
  if (status != cudaSuccess)
    throw Error(Fault::internal, std::string(call) + ": " +
                                     cudaGetErrorString(static_cast<cudaError_t>(status)) +
                                     " (the weights could not be measured on the GPU)");
}

/// A stream of its own for one measurement, after everything that the producers have queued so far.
class SideStream {
 public:
  explicit SideStream(std::span<const WeightSlice> slices) {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    std::set<void*> producers;
    for (const auto& s : slices) producers.insert(s.weights.stream);
    for (void* producer : producers) {
      cudaEvent_t event = nullptr;
      check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
      const int recorded = cudaEventRecord(event, static_cast<cudaStream_t>(producer));
      const int waits = recorded == cudaSuccess ? cudaStreamWaitEvent(stream_, event, 0) : recorded;
      cudaEventDestroy(event);
      check(waits, "cudaStreamWaitEvent");
    }
  }
  SideStream(const SideStream&) = delete;
  SideStream& operator=(const SideStream&) = delete;
  ~SideStream() { cudaStreamDestroy(stream_); }
  cudaStream_t get() const { return stream_; }
  void finish() const { check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

 private:
  cudaStream_t stream_ = nullptr;
};

/// n elements of device memory, given back in stream order.
template <class T>
class DeviceArray {
 public:
  DeviceArray(std::size_t n, cudaStream_t stream) : stream_(stream) {
    void* memory = nullptr;
    check(cudaMallocAsync(&memory, n * sizeof(T), stream), "cudaMallocAsync");
    data_ = static_cast<T*>(memory);
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { cudaFreeAsync(data_, stream_); }
  T* get() const { return data_; }

 private:
  T* data_;
  cudaStream_t stream_;
};

/// Pinned host memory through which results come back. Kept between calls, since pinning costs more than the
/// measurement; one measurement at a time uses it.
std::byte* pinned(std::size_t bytes) {
  static std::byte* memory = nullptr;
  static std::size_t size = 0;
  if (bytes > size) {
    if (memory != nullptr) check(cudaFreeHost(memory), "cudaFreeHost");
    memory = nullptr, size = 0;
    void* fresh = nullptr;
    check(cudaHostAlloc(&fresh, bytes, cudaHostAllocDefault), "cudaHostAlloc");
    memory = static_cast<std::byte*>(fresh), size = bytes;
  }
  return memory;
}

/// The device's view of host memory that it can read in place, or null.
const float* readable(const float* initial) {
  cudaPointerAttributes attributes{};
  if (cudaPointerGetAttributes(&attributes, initial) != cudaSuccess) return cudaGetLastError(), nullptr;
  return attributes.type == cudaMemoryTypeUnregistered ? nullptr
                                                       : static_cast<const float*>(attributes.devicePointer);
}

std::size_t elements_to_stage(std::span<const WeightSlice> slices) {
  std::size_t n = 0;
  for (const auto& s : slices)
    if (s.initial != nullptr && readable(s.initial) == nullptr) n += s.weights.count;
  return n;
}

std::vector<const float*> initial_on_device(std::span<const WeightSlice> slices, float* staging,
                                            cudaStream_t stream) {
  std::vector<const float*> initial(slices.size());
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const auto& s = slices[i];
    if (s.initial == nullptr) continue;
    initial[i] = readable(s.initial);
    if (initial[i] != nullptr) continue;
    check(
        cudaMemcpyAsync(staging, s.initial, s.weights.count * sizeof(float), cudaMemcpyHostToDevice, stream),
        "cudaMemcpyAsync");
    initial[i] = staging;
    staging += s.weights.count;
  }
  return initial;
}

std::vector<DeviceChunk> device_chunks(std::span<const WeightSlice> slices, const Pass& pass,
                                       const std::vector<const float*>& initial) {
  std::vector<DeviceChunk> chunks;
  for (const auto& c : pass.chunks)
    chunks.push_back({static_cast<const float*>(slices[c.slice].weights.data) + c.offset,
                      initial[c.slice] == nullptr ? nullptr : initial[c.slice] + c.offset, c.offset,
                      static_cast<std::uint32_t>(c.count), static_cast<std::uint32_t>(c.first_block),
                      static_cast<std::uint32_t>(c.slice)});
  return chunks;
}

template <class T>
void upload(T* to, const std::vector<T>& from, cudaStream_t stream) {
  check(cudaMemcpyAsync(to, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice, stream),
        "cudaMemcpyAsync");
}

}  // namespace

void run_on_cuda(std::span<const WeightSlice> slices, Pass& pass) {
  if (pass.chunks.empty()) return;
  const SideStream stream(slices);
  const DeviceArray<float> staging(elements_to_stage(slices) + 1, stream.get());
  const auto chunks = device_chunks(slices, pass, initial_on_device(slices, staging.get(), stream.get()));
  const DeviceArray<DeviceChunk> device(chunks.size(), stream.get());
  const DeviceArray<BlockStats> blocks(pass.blocks.size(), stream.get());
  const DeviceArray<std::uint32_t> slots(pass.slots.size(), stream.get());
  upload(device.get(), chunks, stream.get());
  check(launch_weight_stats(device.get(), chunks.size(), blocks.get(), slots.get(), stream.get()),
        "weight_stats");
  const auto block_bytes = pass.blocks.size() * sizeof(BlockStats), slot_bytes = pass.slots.size() * 4;
  std::byte* host = pinned(block_bytes + slot_bytes);
  check(cudaMemcpyAsync(host, blocks.get(), block_bytes, cudaMemcpyDeviceToHost, stream.get()),
        "cudaMemcpyAsync");
  check(cudaMemcpyAsync(host + block_bytes, slots.get(), slot_bytes, cudaMemcpyDeviceToHost, stream.get()),
        "cudaMemcpyAsync");
  stream.finish();
  std::memcpy(pass.blocks.data(), host, block_bytes);
  std::memcpy(pass.slots.data(), host + block_bytes, slot_bytes);
}

std::vector<std::uint64_t> digests_on_cuda(std::span<const WeightSlice> slices) {
  std::vector<std::uint64_t> sums(slices.size());
  const Pass pass(slices);
  if (pass.chunks.empty()) return sums;
  const SideStream stream(slices);
  const auto chunks = device_chunks(slices, pass, std::vector<const float*>(slices.size(), nullptr));
  const DeviceArray<DeviceChunk> device(chunks.size(), stream.get());
  const DeviceArray<unsigned long long> device_sums(sums.size(), stream.get());
  upload(device.get(), chunks, stream.get());
  check(cudaMemsetAsync(device_sums.get(), 0, sums.size() * 8, stream.get()), "cudaMemsetAsync");
  check(launch_digests(device.get(), chunks.size(), device_sums.get(), stream.get()), "digests");
  check(
      cudaMemcpyAsync(sums.data(), device_sums.get(), sums.size() * 8, cudaMemcpyDeviceToHost, stream.get()),
      "cudaMemcpyAsync");
  stream.finish();
  return sums;
}

}  // namespace weightscope

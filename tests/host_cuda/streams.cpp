#include "host_cuda/streams.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <set>
#include <utility>
#include <vector>

#include "host_cuda/fibers.hpp"

namespace {

using weightscope::host_cuda::toss;
using Flag = std::shared_ptr<bool>;

struct Stream;
struct Task {
  std::function<void()> work;  // empty: a wait for `until`, which `from` will set
  Flag until;
  Stream* from = nullptr;
};
struct Stream {
  std::deque<Task> tasks;
};
struct Event {
  Flag over = std::make_shared<bool>(true);
  Stream* from = nullptr;
};

std::vector<Stream*> streams;
std::set<void*> device_memory;

Stream* of(cudaStream_t s) { return reinterpret_cast<Stream*>(s); }
Event* of(cudaEvent_t e) { return reinterpret_cast<Event*>(e); }

/// Whether the first task of s could be done.
bool step(Stream& s) {
  if (s.tasks.empty() || (!s.tasks.front().work && !*s.tasks.front().until)) return false;
  const auto task = std::move(s.tasks.front());
  s.tasks.pop_front();
  if (task.work) task.work();
  return true;
}

void others_first(const Stream& s) {
  for (bool any = true; any;) {
    any = false;
    for (auto* other : std::vector<Stream*>(streams))
      while (other != &s && step(*other)) any = true;
  }
}

/// Until `over`, or the end of the stream.
void advance(Stream& s, const Flag& over = nullptr) {
  if (toss()) others_first(s);
  while (!s.tasks.empty() && !(over && *over)) {
    const auto& front = s.tasks.front();
    if (!front.work && !*front.until) {
      advance(*front.from, Flag(front.until));
      continue;
    }
    step(s);
  }
}

void drain() {
  for (auto* s : std::vector<Stream*>(streams)) advance(*s);
}

cudaError_t allocate(void** data, std::size_t bytes) {
  *data = ::operator new (bytes, std::align_val_t{256});
  std::memset(*data, 0xff, bytes);
  return cudaSuccess;
}
void release(void* data) {
  drain();
  ::operator delete (data, std::align_val_t{256});
}

}  // namespace

namespace weightscope::host_cuda {

void enqueue(void* stream, std::function<void()> work) {
  if (stream == nullptr) return work();
  static_cast<Stream*>(stream)->tasks.push_back({std::move(work), nullptr, nullptr});
}

}  // namespace weightscope::host_cuda

using weightscope::host_cuda::enqueue;

extern "C" {
const char* cudaGetErrorString(cudaError_t) { return "of the host's CUDA"; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaDeviceSynchronize() {
  drain();
  return cudaSuccess;
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = *greatest = 0;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  allocate(data, bytes);
  device_memory.insert(*data);
  return cudaSuccess;
}
cudaError_t cudaFree(void* data) {
  device_memory.erase(data);
  release(data);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned) { return allocate(data, bytes); }
cudaError_t cudaFreeHost(void* data) {
  release(data);
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* data) {
  *attributes = {};
  const bool known = device_memory.contains(const_cast<void*>(data));
  attributes->type = known ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  attributes->devicePointer = const_cast<void*>(data);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  enqueue(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  enqueue(stream, [=] { std::memset(to, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  streams.push_back(new Stream);
  *stream = reinterpret_cast<cudaStream_t>(streams.back());
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  advance(*of(stream));
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  drain();  // nothing is left that names it
  std::erase(streams, of(stream));
  delete of(stream);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = reinterpret_cast<cudaEvent_t>(new Event);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete of(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const auto over = std::make_shared<bool>(false);
  *of(event) = {over, of(stream)};
  enqueue(stream, [over] { *over = true; });
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (stream == nullptr)
    advance(*of(event)->from, of(event)->over);
  else if (of(event)->from != nullptr)
    of(stream)->tasks.push_back({nullptr, of(event)->over, of(event)->from});
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) { return *of(event)->over ? cudaSuccess : cudaErrorNotReady; }
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (!*of(event)->over) advance(*of(event)->from, of(event)->over);
  return cudaSuccess;
}
}

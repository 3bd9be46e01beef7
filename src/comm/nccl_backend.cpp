#include <utility>

#include "comm/nccl_impl.hpp"
#include "comm/versions.hpp"

namespace weightscope {

NcclBackend::NcclBackend(const HostComm& host, int device, double timeout_s)
    : impl_(std::make_unique<Impl>()) {
  impl_->host = &host;
  impl_->device = device;
  impl_->timeout_s = timeout_s;
  check_cuda(cudaSetDevice(device), "cudaSetDevice");
  ncclUniqueId id{};
  host.together([&] {
    if (host.is_root() && ncclGetUniqueId(&id) != ncclSuccess)
      throw Error(Fault::comm, "ncclGetUniqueId failed");
  });
  host.broadcast(std::as_writable_bytes(std::span(&id, 1)));
  check_cuda(cudaStreamCreateWithFlags(&impl_->stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  check_cuda(cudaEventCreateWithFlags(&impl_->produced, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  check_cuda(cudaEventCreateWithFlags(&impl_->done, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  impl_->settle(ncclCommInitRankConfig(&impl_->comm, host.size(), id, host.rank(), &config),
                "initialization");
}
void NcclBackend::watch(const std::function<void(const std::string&)>& give_up) {
  impl_->watch.emplace(impl_->comm, impl_->device, impl_->stream, impl_->timeout_s, give_up);
}

NcclBackend::NcclBackend(NcclBackend&&) noexcept = default;
NcclBackend& NcclBackend::operator=(NcclBackend&&) noexcept = default;
NcclBackend::~NcclBackend() = default;

NcclBackend::Impl::Registered NcclBackend::Impl::allocate(std::size_t bytes) {
  Registered memory;
  if (ncclMemAlloc(&memory.data, bytes) != ncclSuccess) return {};
  try {
    settle(ncclCommRegister(comm, memory.data, bytes, &memory.handle), "registration of memory");
    return memory;
  } catch (const Error&) {
    failed = false;  // of the communicator nothing is lost
    ncclMemFree(memory.data);
    return {};
  }
}

void* NcclBackend::registered_memory(std::size_t bytes) {
  const auto memory = impl_->allocate(bytes);
  // With memory that only some ranks have registered NCCL's collectives are undefined.
  const bool everywhere = impl_->host->max(std::int64_t{memory.data == nullptr}) == 0;
  if (everywhere) {
    impl_->registered.push_back(memory);
    return memory.data;
  }
  if (memory.data != nullptr) {
    ncclCommDeregister(impl_->comm, memory.handle);
    ncclMemFree(memory.data);
  }
  return nullptr;
}

void NcclBackend::all_reduce_mean(Buffer b) {
  impl_->run("all-reduce", b, b.count, [&](std::size_t from, std::size_t count) {
    return ncclAllReduce(at(b, from), at(b, from), count, nccl_type(b.dtype), ncclAvg, impl_->comm,
                         impl_->stream);
  });
}

void NcclBackend::reduce_mean(Buffer b, int owner) {
  impl_->run("reduce", b, b.count, [&](std::size_t from, std::size_t count) {
    return ncclReduce(at(b, from), at(b, from), count, nccl_type(b.dtype), ncclAvg, owner, impl_->comm,
                      impl_->stream);
  });
}

void NcclBackend::all_gather(Buffer mine, Buffer whole) {
  impl_->run("all-gather", whole, mine.count, [&](std::size_t from, std::size_t) {
    if (from > 0) return ncclSuccess;  // in one piece, whatever its size: parts would not lie together
    return ncclAllGather(mine.data, whole.data, mine.count, nccl_type(whole.dtype), impl_->comm,
                         impl_->stream);
  });
}

void NcclBackend::broadcast(Buffer b, int owner) {
  impl_->run("broadcast", b, b.count, [&](std::size_t from, std::size_t count) {
    return ncclBroadcast(at(b, from), at(b, from), count, nccl_type(b.dtype), owner, impl_->comm,
                         impl_->stream);
  });
}

void NcclBackend::wait(void* consumer_stream) {
  check_cuda(cudaEventRecord(impl_->done, impl_->stream), "cudaEventRecord");
  check_cuda(cudaStreamWaitEvent(static_cast<cudaStream_t>(consumer_stream), impl_->done, 0),
             "cudaStreamWaitEvent");
}

void NcclBackend::mark(std::size_t slot) {
  auto& marks = impl_->marks;
  while (marks.size() <= slot)
    check_cuda(cudaEventCreateWithFlags(&marks.emplace_back(nullptr), cudaEventDisableTiming),
               "cudaEventCreateWithFlags");
  check_cuda(cudaEventRecord(marks[slot], impl_->stream), "cudaEventRecord");
}

void NcclBackend::wait_for(std::size_t slot, void* consumer_stream) {
  check_cuda(cudaStreamWaitEvent(static_cast<cudaStream_t>(consumer_stream), impl_->marks[slot], 0),
             "cudaStreamWaitEvent");
}

// Streams that a graph is recorded from must not be asked how far they are: the watch waits. Afterwards the
// collectives are on the stream of the graph, and the watch sees ours wait for that: what the graph computes
// counts too.
void NcclBackend::begin_recording() {
  if (impl_->watch) impl_->watch->pause(true);
  impl_->recorded = 0;
}

std::int64_t NcclBackend::end_recording() {
  if (impl_->watch) impl_->watch->pause(false);
  return std::exchange(impl_->recorded, std::nullopt).value_or(0);
}

void NcclBackend::replayed(std::int64_t collectives, void* stream) {
  if (collectives == 0) return;
  impl_->operation(collectives, "of the " + std::to_string(collectives) + " in a recorded micro-step",
                   [&] { impl_->follow(stream); });
}

std::string nccl_version() {
  int code = 0;
  if (ncclGetVersion(&code) != ncclSuccess) return "unknown";
  return std::to_string(code / 10000) + "." + std::to_string(code / 100 % 100) + "." +
         std::to_string(code % 100);
}

}  // namespace weightscope

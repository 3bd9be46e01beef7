#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <optional>
#include <thread>

#include "comm/nccl_watch.hpp"
#include "comm/tensor_comm.hpp"
#include "comm/tree_add.hpp"
#include "comm/versions.hpp"
#include "core/error.hpp"

namespace weightscope {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMessage = std::size_t{1} << 30;    // elements a call
constexpr std::size_t kTreeChunk = std::size_t{1} << 22;  // elements of the peer's part held at a time

void check_cuda(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw Error(Fault::comm, std::string(call) + ": " + cudaGetErrorString(status));
}

ncclDataType_t nccl_type(DType type) {
  switch (type) {
    case DType::f32:
      return ncclFloat32;
    case DType::f64:
      return ncclFloat64;
    case DType::bf16:
      return ncclBfloat16;
    case DType::f16:
      return ncclFloat16;
    case DType::i64:
      return ncclInt64;
    case DType::u16:
      break;
  }
  throw Error(Fault::internal, "NCCL has no 16-bit integers");
}

void* at(const Buffer& b, std::size_t element) {
  return static_cast<std::byte*>(b.data) + element * size_of(b.dtype);
}

}  // namespace

struct NcclBackend::Impl {
  const HostComm* host = nullptr;
  int device = 0;
  double timeout_s = 300;
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t produced = nullptr, done = nullptr;
  void* peer_part = nullptr;  // scratch of the tree sum
  std::int64_t sequence = 0;  // operations so far, the same on every rank
  bool failed = false;
  std::optional<NcclWatch> watch;

  ~Impl() {  // never throws, never waits for peers that may be gone
    watch.reset();
    if (comm != nullptr) failed ? ncclCommAbort(comm) : ncclCommDestroy(comm);
    if (peer_part != nullptr) cudaFree(peer_part);
    if (produced != nullptr) cudaEventDestroy(produced);
    if (done != nullptr) cudaEventDestroy(done);
    if (stream != nullptr) cudaStreamDestroy(stream);
  }

  [[noreturn]] void fail(const std::string& what, const std::string& why) {
    failed = true;
    throw Error(Fault::comm, "rank " + std::to_string(host->rank()) + ": NCCL " + what + " (operation " +
                                 std::to_string(sequence) + "): " + why);
  }

  /// A non-blocking communicator answers "in progress": poll until it is ready, in error, or late.
  void settle(ncclResult_t result, const std::string& what) {
    const auto deadline = Clock::now() + std::chrono::duration<double>(timeout_s);
    while (result == ncclInProgress) {
      if (Clock::now() > deadline)
        fail(what, "no answer within parallel.timeout_s = " + std::to_string(timeout_s) +
                       " s; a peer is lost or stuck");
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      if (const auto asked = ncclCommGetAsyncError(comm, &result); asked != ncclSuccess)
        fail(what, ncclGetErrorString(asked));
    }
    if (result != ncclSuccess) fail(what, ncclGetErrorString(result));
  }

  /// Our stream waits for the producer of `b`; then `enqueue(from, count)` puts each message on it.
  template <class F>
  void run(const char* name, const Buffer& b, std::size_t count, F&& enqueue) {
    ++sequence;
    const auto what = std::string(name) + " of " + std::to_string(count) + " elements";
    if (watch) watch->started(sequence, what);
    check_cuda(cudaEventRecord(produced, static_cast<cudaStream_t>(b.stream)), "cudaEventRecord");
    check_cuda(cudaStreamWaitEvent(stream, produced, 0), "cudaStreamWaitEvent");
    for (std::size_t from = 0; from < count; from += kMessage)
      settle(enqueue(from, std::min(kMessage, count - from)), what);
    ncclResult_t state = ncclSuccess;
    const auto asked = ncclCommGetAsyncError(comm, &state);
    settle(asked == ncclSuccess ? state : asked, what);
  }
};

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
void NcclBackend::watch(std::function<void(const std::string&)> give_up) {
  impl_->watch.emplace(impl_->comm, impl_->device, impl_->stream, impl_->timeout_s, std::move(give_up));
}

NcclBackend::NcclBackend(NcclBackend&&) noexcept = default;
NcclBackend& NcclBackend::operator=(NcclBackend&&) noexcept = default;
NcclBackend::~NcclBackend() = default;

void NcclBackend::all_reduce_mean(Buffer b) {
  impl_->run("all-reduce", b, b.count, [&](std::size_t from, std::size_t count) {
    return ncclAllReduce(at(b, from), at(b, from), count, nccl_type(b.dtype), ncclAvg, impl_->comm,
                         impl_->stream);
  });
}

void NcclBackend::all_reduce_sum_tree(Buffer b) {
  const int world = impl_->host->size(), rank = impl_->host->rank();
  require(std::has_single_bit(static_cast<unsigned>(world)), Fault::config,
          "parallel.reduction = reproducible needs a number of ranks that is a power of two, not " +
              std::to_string(world));
  require(b.dtype == DType::f32, Fault::internal, "the tree sum adds float32");
  if (impl_->peer_part == nullptr)
    check_cuda(cudaMalloc(&impl_->peer_part, kTreeChunk * sizeof(float)), "cudaMalloc");
  for (std::size_t begin = 0; begin < b.count; begin += kTreeChunk) {
    const auto count = std::min(kTreeChunk, b.count - begin);
    auto* mine = static_cast<float*>(at(b, begin));
    auto* theirs = static_cast<float*>(impl_->peer_part);
    // Level by level with the rank that differs in one bit, as in MpiBackend: the same bits.
    for (int bit = 1; bit < world; bit *= 2) {
      const int peer = rank ^ bit;
      impl_->run("tree sum", b, count, [&](std::size_t, std::size_t) {
        ncclGroupStart();
        ncclSend(mine, count, ncclFloat32, peer, impl_->comm, impl_->stream);
        ncclRecv(theirs, count, ncclFloat32, peer, impl_->comm, impl_->stream);
        return ncclGroupEnd();
      });
      check_cuda(static_cast<cudaError_t>(add_on_device(mine, theirs, count, impl_->stream)),
                 "tree_add kernel");
    }
  }
}

void NcclBackend::reduce_scatter_mean(Buffer whole, Buffer mine) {
  impl_->run("reduce-scatter", whole, mine.count, [&](std::size_t, std::size_t) {
    return ncclReduceScatter(whole.data, mine.data, mine.count, nccl_type(whole.dtype), ncclAvg, impl_->comm,
                             impl_->stream);
  });
}

void NcclBackend::all_gather(Buffer mine, Buffer whole) {
  impl_->run("all-gather", whole, mine.count, [&](std::size_t, std::size_t) {
    return ncclAllGather(mine.data, whole.data, mine.count, nccl_type(whole.dtype), impl_->comm,
                         impl_->stream);
  });
}

void NcclBackend::broadcast(Buffer b) {
  impl_->run("broadcast", b, b.count, [&](std::size_t from, std::size_t count) {
    return ncclBroadcast(at(b, from), at(b, from), count, nccl_type(b.dtype), 0, impl_->comm, impl_->stream);
  });
}

void NcclBackend::wait(void* consumer_stream) {
  check_cuda(cudaEventRecord(impl_->done, impl_->stream), "cudaEventRecord");
  check_cuda(cudaStreamWaitEvent(static_cast<cudaStream_t>(consumer_stream), impl_->done, 0),
             "cudaStreamWaitEvent");
}

std::string nccl_version() {
  int code = 0;
  if (ncclGetVersion(&code) != ncclSuccess) return "unknown";
  return std::to_string(code / 10000) + "." + std::to_string(code / 100 % 100) + "." +
         std::to_string(code % 100);
}

}  // namespace weightscope

#pragma once
// Private to comm: what the files of the NCCL backend share.
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "comm/cuda_check.hpp"
#include "comm/nccl_watch.hpp"
#include "comm/piece_sum.hpp"
#include "comm/tensor_comm.hpp"

namespace weightscope {

inline constexpr std::size_t kNcclMessage = std::size_t{1} << 30;  ///< elements a call

inline ncclDataType_t nccl_type(DType type) {
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

inline void* at(const Buffer& b, std::size_t element) {
  return static_cast<std::byte*>(b.data) + element * size_of(b.dtype);
}

/// Device memory that grows when more is asked for: cudaFree waits for what is under way.
class DeviceScratch {
 public:
  DeviceScratch() = default;
  DeviceScratch(const DeviceScratch&) = delete;
  ~DeviceScratch() {
    if (data_ != nullptr) cudaFree(data_);
  }
  std::byte* of(std::size_t bytes) {
    if (bytes <= bytes_) return data_;
    if (data_ != nullptr) check_cuda(cudaFree(data_), "cudaFree");
    data_ = nullptr, bytes_ = 0;
    void* memory = nullptr;
    check_cuda(cudaMalloc(&memory, bytes), "cudaMalloc");
    data_ = static_cast<std::byte*>(memory), bytes_ = bytes;
    return data_;
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

struct NcclBackend::Impl {
  const HostComm* host = nullptr;
  int device = 0;
  double timeout_s = 300;
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t produced = nullptr, done = nullptr;
  std::vector<cudaEvent_t> marks;
  DeviceScratch theirs, out;  // of sums by pieces
  struct Registered {
    void *data = nullptr, *handle = nullptr;
  };
  std::vector<Registered> registered;
  std::int64_t sequence = 0;             // operations so far, the same on every rank
  std::optional<std::int64_t> recorded;  // while a graph is recorded: operations in it so far
  bool failed = false;
  std::optional<NcclWatch> watch;

  ~Impl() {  // never throws, never waits for peers that may be gone
    watch.reset();
    if (comm != nullptr && !failed)
      for (const auto& memory : registered) ncclCommDeregister(comm, memory.handle);
    if (comm != nullptr) failed ? ncclCommAbort(comm) : ncclCommDestroy(comm);
    for (const auto& memory : registered) ncclMemFree(memory.data);
    for (auto* mark : marks)
      if (mark != nullptr) cudaEventDestroy(mark);
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
    using Clock = std::chrono::steady_clock;
    const auto began = Clock::now(), soon = began + std::chrono::microseconds(200);
    const auto deadline = began + std::chrono::duration<double>(timeout_s);
    while (result == ncclInProgress) {
      const auto now = Clock::now();
      if (now > deadline)
        fail(what, "no answer within parallel.timeout_s = " + std::to_string(timeout_s) +
                       " s; a peer is lost or stuck");
      if (now < soon)  // as long as a launch takes on NCCL's own thread; then it is something else
        std::this_thread::yield();
      else
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      if (const auto asked = ncclCommGetAsyncError(comm, &result); asked != ncclSuccess)
        fail(what, ncclGetErrorString(asked));
    }
    if (result != ncclSuccess) fail(what, ncclGetErrorString(result));
  }

  /// No data where NCCL has no such memory. Does not throw: the other ranks are to be told.
  Registered allocate(std::size_t bytes);

  /// One chunk of a sum in a fixed order, x of this rank's device; see PieceSum.
  void sum_pieces(float* x, const Pieces& pieces, Wire wire, bool share, const Buffer& b);

  /// enqueue() puts so many operations on our stream, which the watch sees as one.
  template <class F>
  void operation(std::int64_t count, const std::string& what, F&& enqueue) {
    sequence += count;
    if (watch) watch->begin(sequence, what);
    enqueue();
    if (watch) watch->end();
  }

  /// What is put on our stream next comes after what is on `other` now.
  void follow(void* other) {
    check_cuda(cudaEventRecord(produced, static_cast<cudaStream_t>(other)), "cudaEventRecord");
    check_cuda(cudaStreamWaitEvent(stream, produced, 0), "cudaStreamWaitEvent");
  }

  /// Our stream waits for the producer of `b`; then `enqueue(from, count)` puts each message on it.
  template <class F>
  void run(const char* name, const Buffer& b, std::size_t count, F&& enqueue) {
    const auto what = std::string(name) + " of " + std::to_string(count) + " elements";
    const auto all = [&] {
      for (std::size_t from = 0; from < count; from += kNcclMessage)
        settle(enqueue(from, std::min(kNcclMessage, count - from)), what);
    };
    follow(b.stream);
    recorded ? (++*recorded, all()) : operation(1, what, all);
    ncclResult_t state = ncclSuccess;
    const auto asked = ncclCommGetAsyncError(comm, &state);
    settle(asked == ncclSuccess ? state : asked, what);
  }
};

}  // namespace weightscope

#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "comm/host_comm.hpp"
#include "core/buffer.hpp"

namespace weightscope {

/// How summands travel: as they are, or rounded to bf16. Added up they are in float32.
enum class Wire { f32, bf16 };

/// One process, no network: every collective is the identity.
class SoloBackend {
 public:
  void* registered_memory(std::size_t) { return nullptr; }
  void all_reduce_mean(Buffer) {}
  void all_reduce_sum_tree(Buffer, Wire) {}
  void reduce_scatter_sum_tree(Buffer, Buffer, Wire) {}
  void reduce_mean(Buffer, int) {}
  void all_gather(Buffer, Buffer) {}
  void broadcast(Buffer, int) {}
  void wait(void*) {}
  void mark(std::size_t) {}
  void wait_for(std::size_t, void*) {}
  void begin_recording() {}
  std::int64_t end_recording() { return 0; }
  void replayed(std::int64_t, void*) {}
};

/// Collectives on host memory through MPI. Blocking: wait() has nothing to do.
class MpiBackend {
 public:
  explicit MpiBackend(const HostComm& host) : host_(&host) {}
  void* registered_memory(std::size_t) { return nullptr; }
  void all_reduce_mean(Buffer buffer);
  void all_reduce_sum_tree(Buffer buffer, Wire wire);
  void reduce_scatter_sum_tree(Buffer whole, Buffer mine, Wire wire);
  void reduce_mean(Buffer buffer, int owner);
  void all_gather(Buffer mine, Buffer whole);
  void broadcast(Buffer buffer, int owner);
  void wait(void*) {}
  void mark(std::size_t) {}
  void wait_for(std::size_t, void*) {}
  void begin_recording() {}
  std::int64_t end_recording() { return 0; }
  void replayed(std::int64_t, void*) {}

 private:
  const HostComm* host_;
};

/// Collectives on device memory through NCCL, on a stream of its own, ordered by events.
/// Defined in nccl_backend.cpp, or in nccl_backend_stub.cpp whose constructor throws.
class NcclBackend {
 public:
  NcclBackend(const HostComm& host, int device, double timeout_s);
  NcclBackend(NcclBackend&&) noexcept;
  NcclBackend& operator=(NcclBackend&&) noexcept;
  ~NcclBackend();
  /// From now on a thread calls give_up with a message when the communicator fails or an operation does not
  /// end in time. end_waiting() ends the job.
  void watch(const std::function<void(const std::string&)>& give_up);
  void* registered_memory(std::size_t bytes);
  void all_reduce_mean(Buffer buffer);
  void all_reduce_sum_tree(Buffer buffer, Wire wire);
  void reduce_scatter_sum_tree(Buffer whole, Buffer mine, Wire wire);
  void reduce_mean(Buffer buffer, int owner);
  void all_gather(Buffer mine, Buffer whole);
  void broadcast(Buffer buffer, int owner);
  void wait(void* consumer_stream);
  void mark(std::size_t slot);
  void wait_for(std::size_t slot, void* consumer_stream);
  void begin_recording();
  std::int64_t end_recording();
  void replayed(std::int64_t collectives, void* stream);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The data plane: weights and gradients. A closed set of backends behind one value type.
/// Every collective first waits for buffer.stream (the producer), then runs on the backend's own stream;
/// wait(consumer) makes the consumer stream wait for all of them. The host waits for neither. f32 and (NCCL)
/// bf16; messages of more than 2^30 elements are split. Errors: Error{comm}.
class TensorComm {
 public:
  /// solo when there is one rank, NCCL when the tensors live on a GPU, MPI otherwise.
  static TensorComm make(const HostComm& host, Place place, int device, double timeout_s);

  /// Device memory that lives as long as this, and that collectives reach without copies (NVLink SHARP,
  /// InfiniBand); nullptr on all ranks where one of them is offered none. To be used alike by all ranks.
  /// Collective.
  void* registered_memory(std::size_t bytes) {
    return std::visit([&](auto& x) { return x.registered_memory(bytes); }, backend_);
  }
  /// Mean over ranks, in place.
  void all_reduce_mean(Buffer b) {
    std::visit([&](auto& x) { x.all_reduce_mean(b); }, backend_);
  }
  /// The same on rank `owner` only; the others keep what they have.
  void reduce_mean(Buffer b, int owner) {
    std::visit([&](auto& x) { x.reduce_mean(b, owner); }, backend_);
  }
  /// Σ over ranks of float32, NOT divided, in one fixed binary tree, neighbours first: 2^k ranks × 2^m local
  /// partial sums give the same bits for any split. Each rank adds up a piece and shares the sum, which
  /// Wire::bf16 rounds once more.
  void all_reduce_sum_tree(Buffer b, Wire wire = Wire::f32) {
    std::visit([&](auto& x) { x.all_reduce_sum_tree(b, wire); }, backend_);
  }
  /// The same of this rank's part (as in all_gather) only, not rounded; the rest of `whole` is left
  /// undefined.
  void reduce_scatter_sum_tree(Buffer whole, Buffer mine, Wire wire = Wire::f32) {
    std::visit([&](auto& x) { x.reduce_scatter_sum_tree(whole, mine, wire); }, backend_);
  }
  /// mine: the n elements of this rank, = whole.data + rank·n; whole: all P·n.
  void all_gather(Buffer mine, Buffer whole) {
    std::visit([&](auto& x) { x.all_gather(mine, whole); }, backend_);
  }
  void broadcast(Buffer b, int owner = 0) {
    std::visit([&](auto& x) { x.broadcast(b, owner); }, backend_);
  }
  void wait(void* consumer_stream) {
    std::visit([&](auto& x) { x.wait(consumer_stream); }, backend_);
  }
  /// Notes what was started until now under a small number of the caller's choice;
  void mark(std::size_t slot) {
    std::visit([&](auto& x) { x.mark(slot); }, backend_);
  }
  /// then the consumer stream can wait for that alone.
  void wait_for(std::size_t slot, void* consumer_stream) {
    std::visit([&](auto& x) { x.wait_for(slot, consumer_stream); }, backend_);
  }
  /// From here on the calling thread records collectives, and wait(), into a CUDA graph instead of starting
  /// them;
  void begin_recording() {
    std::visit([](auto& x) { x.begin_recording(); }, backend_);
  }
  /// until here. How many it recorded.
  std::int64_t end_recording() {
    return std::visit([](auto& x) { return x.end_recording(); }, backend_);
  }
  /// The graph with so many collectives has been started on `stream`. Later ones come after it.
  void replayed(std::int64_t collectives, void* stream) {
    std::visit([&](auto& x) { x.replayed(collectives, stream); }, backend_);
  }
  const char* name() const;  ///< solo, mpi or nccl

 private:
  using Backend = std::variant<SoloBackend, MpiBackend, NcclBackend>;
  explicit TensorComm(Backend b) : backend_(std::move(b)) {}
  Backend backend_;
};

}  // namespace weightscope

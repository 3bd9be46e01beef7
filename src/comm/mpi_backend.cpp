#include <algorithm>
#include <bit>
#include <vector>

#include "comm/mpi_check.hpp"
#include "comm/tensor_comm.hpp"
#include "comm/watchdog.hpp"
#include "core/error.hpp"

namespace weightscope {
namespace {

constexpr std::size_t kMessage = std::size_t{1} << 30;  // elements a call: MPI counts are int
constexpr std::size_t kTreeChunk = std::size_t{1}
                                   << 18;  // elements: the peer's part stays in the cache while it is added

void check_host(const Buffer& b) {
  require(b.place == Place::host && (b.dtype == DType::f32 || b.dtype == DType::f64), Fault::internal,
          "the MPI backend works on float32 and float64 in host memory only");
}

MPI_Datatype type_of(const Buffer& b) { return b.dtype == DType::f64 ? MPI_DOUBLE : MPI_FLOAT; }

Buffer part(const Buffer& b, std::size_t from, std::size_t count) {
  Buffer p = b;
  p.data = static_cast<std::byte*>(b.data) + from * size_of(b.dtype);
  p.count = count;
  return p;
}

template <class T>
void scale(T* x, std::size_t n, double factor) {
  const T f = static_cast<T>(factor);
#pragma omp parallel for simd schedule(static)
  for (std::size_t i = 0; i < n; ++i) x[i] *= f;
}

void scale(const Buffer& b, double factor) {
  if (b.dtype == DType::f64)
    scale(static_cast<double*>(b.data), b.count, factor);
  else
    scale(static_cast<float*>(b.data), b.count, factor);
}

template <class T>
void add(T* into, const T* other, std::size_t n) {
#pragma omp parallel for simd schedule(static)
  for (std::size_t i = 0; i < n; ++i) into[i] += other[i];
}

}  // namespace

void MpiBackend::all_reduce_mean(Buffer buffer) {
  check_host(buffer);
  for (std::size_t from = 0; from < buffer.count; from += kMessage) {
    const auto p = part(buffer, from, std::min(kMessage, buffer.count - from));
    const Wait wait("MPI_Allreduce", static_cast<std::int64_t>(p.bytes()));
    mpi_check(
        MPI_Allreduce(MPI_IN_PLACE, p.data, static_cast<int>(p.count), type_of(p), MPI_SUM, host_->native()),
        "MPI_Allreduce");
  }
  scale(buffer, 1.0 / host_->size());
}

void MpiBackend::all_reduce_sum_tree(Buffer buffer) {
  check_host(buffer);
  require(std::has_single_bit(static_cast<unsigned>(host_->size())), Fault::config,
          "parallel.reduction = reproducible needs a number of ranks that is a power of two, not " +
              std::to_string(host_->size()));
  std::vector<std::byte> theirs(std::min(kTreeChunk, buffer.count) * size_of(buffer.dtype));
  for (std::size_t from = 0; from < buffer.count; from += kTreeChunk) {
    const auto p = part(buffer, from, std::min(kTreeChunk, buffer.count - from));
    const int count = static_cast<int>(p.count);
    // Level by level with the rank that differs in one bit: both add the same two numbers, so both have the
    // same sum.
    for (int bit = 1; bit < host_->size(); bit *= 2) {
      const int peer = host_->rank() ^ bit;
      const Wait wait("MPI_Sendrecv", static_cast<std::int64_t>(p.bytes()));
      mpi_check(MPI_Sendrecv(p.data, count, type_of(p), peer, bit, theirs.data(), count, type_of(p), peer,
                             bit, host_->native(), MPI_STATUS_IGNORE),
                "MPI_Sendrecv");
      if (p.dtype == DType::f64)
        add(static_cast<double*>(p.data), reinterpret_cast<const double*>(theirs.data()), p.count);
      else
        add(static_cast<float*>(p.data), reinterpret_cast<const float*>(theirs.data()), p.count);
    }
  }
}

void MpiBackend::reduce_scatter_mean(Buffer whole, Buffer mine) {
  check_host(whole);
  // One reduction per owner and chunk: no scratch of the size of the whole, and no int overflow.
  for (int owner = 0; owner < host_->size(); ++owner)
    for (std::size_t from = 0; from < mine.count; from += kMessage) {
      const auto p = part(whole, static_cast<std::size_t>(owner) * mine.count + from,
                          std::min(kMessage, mine.count - from));
      const bool here = owner == host_->rank();
      const Wait wait("MPI_Reduce", static_cast<std::int64_t>(p.bytes()));
      mpi_check(MPI_Reduce(here ? MPI_IN_PLACE : p.data, here ? p.data : nullptr, static_cast<int>(p.count),
                           type_of(p), MPI_SUM, owner, host_->native()),
                "MPI_Reduce");
    }
  scale(mine, 1.0 / host_->size());
}

void MpiBackend::all_gather(Buffer mine, Buffer whole) {
  for (int owner = 0; owner < host_->size(); ++owner)
    broadcast_from(owner, part(whole, static_cast<std::size_t>(owner) * mine.count, mine.count));
}

void MpiBackend::broadcast(Buffer buffer) { broadcast_from(0, buffer); }

void MpiBackend::broadcast_from(int owner, Buffer buffer) {
  require(buffer.place == Place::host, Fault::internal, "the MPI backend broadcasts host memory only");
  auto* data = static_cast<std::byte*>(buffer.data);
  for (std::size_t from = 0; from < buffer.bytes(); from += kMessage) {
    const auto count = static_cast<int>(std::min(kMessage, buffer.bytes() - from));
    const Wait wait("MPI_Bcast", count);
    mpi_check(MPI_Bcast(data + from, count, MPI_BYTE, owner, host_->native()), "MPI_Bcast");
  }
}

}  // namespace weightscope

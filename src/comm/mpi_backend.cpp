#include <algorithm>

#include "comm/mpi_check.hpp"
#include "comm/piece_sum.hpp"
#include "comm/tensor_comm.hpp"
#include "comm/watchdog.hpp"
#include "core/error.hpp"

namespace weightscope {
namespace {

constexpr std::size_t kMessage = std::size_t{1} << 30;    // elements a call: MPI counts are int
constexpr std::size_t kTreeChunk = std::size_t{1} << 22;  // elements whose pieces are held at a time

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

void check_summands(const Buffer& b) {
  check_host(b);
  require(b.dtype == DType::f32, Fault::internal, "sums in a fixed order are of float32");
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

void MpiBackend::all_reduce_sum_tree(Buffer buffer, Wire wire) {
  check_summands(buffer);
  auto* x = static_cast<float*>(buffer.data);
  for (std::size_t from = 0; from < buffer.count; from += kTreeChunk) {
    PieceSum sum(*host_, x + from, Pieces::of(std::min(kTreeChunk, buffer.count - from), host_->size()),
                 wire);
    sum.add_up(), sum.share(), sum.deliver();
  }
}

void MpiBackend::reduce_scatter_sum_tree(Buffer whole, Buffer mine, Wire wire) {
  check_summands(whole);
  const auto ranks = static_cast<std::size_t>(host_->size()), part = kTreeChunk / ranks + 1;
  for (std::size_t from = 0; from < mine.count; from += part)
    PieceSum(*host_, static_cast<float*>(whole.data), Pieces::of_shards(ranks, mine.count, from, part), wire)
        .add_up();
}

void MpiBackend::reduce_mean(Buffer buffer, int owner) {
  check_host(buffer);
  const bool here = owner == host_->rank();
  for (std::size_t from = 0; from < buffer.count; from += kMessage) {
    const auto p = part(buffer, from, std::min(kMessage, buffer.count - from));
    const Wait wait("MPI_Reduce", static_cast<std::int64_t>(p.bytes()));
    mpi_check(MPI_Reduce(here ? MPI_IN_PLACE : p.data, here ? p.data : nullptr, static_cast<int>(p.count),
                         type_of(p), MPI_SUM, owner, host_->native()),
              "MPI_Reduce");
  }
  if (here) scale(buffer, 1.0 / host_->size());
}

void MpiBackend::all_gather(Buffer mine, Buffer whole) {
  for (int owner = 0; owner < host_->size(); ++owner)
    broadcast(part(whole, static_cast<std::size_t>(owner) * mine.count, mine.count), owner);
}

void MpiBackend::broadcast(Buffer buffer, int owner) {
  require(buffer.place == Place::host, Fault::internal, "the MPI backend broadcasts host memory only");
  auto* data = static_cast<std::byte*>(buffer.data);
  for (std::size_t from = 0; from < buffer.bytes(); from += kMessage) {
    const auto count = static_cast<int>(std::min(kMessage, buffer.bytes() - from));
    const Wait wait("MPI_Bcast", count);
    mpi_check(MPI_Bcast(data + from, count, MPI_BYTE, owner, host_->native()), "MPI_Bcast");
  }
}

}  // namespace weightscope

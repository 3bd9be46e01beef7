#include "comm/piece_sum.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "comm/mpi_check.hpp"
#include "comm/watchdog.hpp"

namespace weightscope {
namespace {

using Half = std::uint16_t;  // bf16
constexpr int kTag = 71;

float widen(Half x) { return std::bit_cast<float>(std::uint32_t{x} << 16); }
/// Round to nearest even; a NaN stays a NaN.
Half narrow(float x) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  if ((u & 0x7fffffffU) > 0x7f800000U) return static_cast<Half>((u >> 16) | 0x40U);
  return static_cast<Half>((u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
}
float value(float x) { return x; }
float value(Half x) { return widen(x); }

/// out[i] = Σ over ranks of parts[rank][i], in the tree.
template <class T>
void add_in_tree(const T* parts, std::size_t ranks, std::size_t count, float* out) {
  constexpr std::size_t kBlock = 1024;  // of each rank, so that all of them stay in a cache
#pragma omp parallel
  {
    std::vector<float> level(ranks * kBlock);
#pragma omp for schedule(static)
    for (std::size_t begin = 0; begin < count; begin += kBlock) {
      const std::size_t n = std::min(kBlock, count - begin);
      for (std::size_t r = 0; r < ranks; ++r) {
        const T* from = parts + r * count + begin;
        float* to = level.data() + r * kBlock;
#pragma omp simd
        for (std::size_t i = 0; i < n; ++i) to[i] = value(from[i]);
      }
      for (std::size_t step = 1; step < ranks; step *= 2)
        for (std::size_t r = 0; r + step < ranks; r += 2 * step) {
          const float* from = level.data() + (r + step) * kBlock;
          float* to = level.data() + r * kBlock;
#pragma omp simd
          for (std::size_t i = 0; i < n; ++i) to[i] += from[i];
        }
      std::copy_n(level.data(), n, out + begin);
    }
  }
}

}  // namespace

Pieces Pieces::of(std::size_t count, int ranks) {
  const auto n = static_cast<std::size_t>(ranks);
  Pieces pieces;
  for (std::size_t r = 0; r < n; ++r)
    pieces.starts.push_back(count * r / n), pieces.counts.push_back(count * (r + 1) / n - count * r / n);
  return pieces;
}

Pieces Pieces::of_shards(std::size_t ranks, std::size_t shard, std::size_t from, std::size_t most) {
  Pieces pieces;
  for (std::size_t r = 0; r < ranks; ++r)
    pieces.starts.push_back(r * shard + from), pieces.counts.push_back(std::min(most, shard - from));
  return pieces;
}

PieceSum::PieceSum(const HostComm& comm, float* x, Pieces pieces, Wire wire)
    : comm_(comm.native()),
      me_(static_cast<std::size_t>(comm.rank())),
      ranks_(static_cast<std::size_t>(comm.size())),
      x_(x),
      pieces_(std::move(pieces)),
      wire_(wire) {
  packed_.counts = pieces_.counts;
  std::size_t end = 0;
  for (const auto count : pieces_.counts) packed_.starts.push_back(std::exchange(end, end + count));
  const bool half = wire_ == Wire::bf16;
  const std::size_t bytes = half ? sizeof(Half) : sizeof(float);
  theirs_.resize(ranks_ * mine() * bytes);
  if (half) {
    out_.resize(end);
    for (std::size_t r = 0; r < ranks_; ++r)
      std::transform(x_ + pieces_.starts[r], x_ + pieces_.starts[r] + pieces_.counts[r],
                     out_.data() + packed_.starts[r], narrow);
  }
  std::copy_n(static_cast<const std::byte*>(piece_to_send(me_)), mine() * bytes,
              theirs_.data() + me_ * mine() * bytes);
  meet(
      [&](std::size_t r) {
        return Part{piece_to_send(r), pieces_.counts[r]};
      },
      [&](std::size_t r) {
        return Part{theirs_.data() + r * mine() * bytes, mine()};
      });
}

void* PieceSum::piece_to_send(std::size_t rank) {
  if (wire_ == Wire::bf16) return out_.data() + packed_.starts[rank];
  return x_ + pieces_.starts[rank];
}

template <class Send, class Receive>
void PieceSum::meet(Send send, Receive receive) {
  const auto type = wire_ == Wire::bf16 ? MPI_UINT16_T : MPI_FLOAT;
  // Each begins with the next rank, so that not all send to the same one first.
  for (std::size_t i = 1; i < ranks_; ++i) {
    const std::size_t from = (me_ + ranks_ - i) % ranks_;
    const Part part = receive(from);
    mpi_check(MPI_Irecv(part.data, static_cast<int>(part.count), type, static_cast<int>(from), kTag, comm_,
                        &requests_.emplace_back()),
              "MPI_Irecv");
  }
  for (std::size_t i = 1; i < ranks_; ++i) {
    const std::size_t to = (me_ + i) % ranks_;
    const Part part = send(to);
    mpi_check(MPI_Isend(part.data, static_cast<int>(part.count), type, static_cast<int>(to), kTag, comm_,
                        &requests_.emplace_back()),
              "MPI_Isend");
  }
}

void PieceSum::wait(const char* what) {
  const Wait wait(what, static_cast<std::int64_t>(theirs_.size()));
  mpi_check(MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE),
            "MPI_Waitall");
  requests_.clear();
}

void PieceSum::add_up() {
  wait("MPI_Waitall for the pieces of a sum");
  if (wire_ == Wire::bf16)
    add_in_tree(reinterpret_cast<const Half*>(theirs_.data()), ranks_, mine(), my_piece());
  else
    add_in_tree(reinterpret_cast<const float*>(theirs_.data()), ranks_, mine(), my_piece());
}

void PieceSum::share() {
  if (wire_ == Wire::bf16)
    std::transform(my_piece(), my_piece() + mine(), out_.data() + packed_.starts[me_], narrow);
  meet(
      [&](std::size_t) {
        return Part{piece_to_send(me_), mine()};
      },
      [&](std::size_t r) {
        return Part{piece_to_send(r), pieces_.counts[r]};
      });
}

void PieceSum::deliver() {
  wait("MPI_Waitall for the sums of others");
  if (wire_ == Wire::f32) return;
  for (std::size_t r = 0; r < ranks_; ++r)
    std::transform(out_.data() + packed_.starts[r], out_.data() + packed_.starts[r] + packed_.counts[r],
                   x_ + pieces_.starts[r], widen);
}

}  // namespace weightscope

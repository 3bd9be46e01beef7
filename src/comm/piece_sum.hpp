#pragma once
// Private to comm: sums over ranks in one fixed order, by pieces.
#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "comm/host_comm.hpp"
#include "comm/tensor_comm.hpp"

namespace weightscope {

/// Consecutive elements for each rank: rank r owns [starts[r], starts[r] + counts[r]) of a buffer.
struct Pieces {
  std::vector<std::size_t> starts, counts;
  /// `count` elements dealt out to `ranks`.
  static Pieces of(std::size_t count, int ranks);
  /// Of shards of `shard` elements, one after the other: elements [from, from + most) of each.
  static Pieces of_shards(std::size_t ranks, std::size_t shard, std::size_t from, std::size_t most);
};

/// One float32 buffer on its way. Each rank owns a piece: the others send it theirs, it adds them up in
/// float32 in a fixed binary tree over the ranks, neighbours first, and with share() everyone gets the sum.
/// Each element of a rank crosses the network twice, or once without share(). With Wire::bf16 it crosses it
/// rounded to bf16; the owner then has the rounded sum as well, if it shares it. All calls in this order,
/// collective.
class PieceSum {
 public:
  /// Starts sending. x must not be touched until the last call.
  PieceSum(const HostComm& comm, float* x, Pieces pieces, Wire wire);
  PieceSum(const PieceSum&) = delete;
  void add_up();   ///< waits; then this rank's piece of x is the sum
  void share();    ///< starts to send it to all
  void deliver();  ///< waits; then all of x is the sum

 private:
  std::size_t mine() const { return pieces_.counts[me_]; }
  float* my_piece() const { return x_ + pieces_.starts[me_]; }
  struct Part {
    void* data;
    std::size_t count;
  };
  void* piece_to_send(std::size_t rank);
  /// Starts to exchange parts with every other rank: send(rank) goes there, receive(rank) comes from there.
  template <class Send, class Receive>
  void meet(Send send, Receive receive);
  void wait(const char* what);

  MPI_Comm comm_;
  std::size_t me_, ranks_;
  float* x_;
  Pieces pieces_;  ///< in x
  Pieces packed_;  ///< in out_
  Wire wire_;
  std::vector<std::uint16_t> out_;  ///< bf16: what is sent, by pieces one after the other
  std::vector<std::byte> theirs_;   ///< [ranks][mine] as they came
  std::vector<MPI_Request> requests_;
};

}  // namespace weightscope

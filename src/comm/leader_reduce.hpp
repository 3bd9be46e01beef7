#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "comm/host_comm.hpp"
#include "core/buffer.hpp"

namespace weightscope {

/// How the sums of the nodes meet: in float32 by MPI's own algorithms; as bf16 on the wire with float32 sums;
/// or in float32 in one fixed binary tree over the nodes (PieceSum, as bf16).
enum class Transport { f32, bf16, f32_tree };

/// Sum over the leaders of all nodes, bucket by bucket: while one bucket travels, the node adds up the next.
/// All nodes end up with the same bits. Collective over `leaders`, buckets in the same order.
class LeaderReduce {
 public:
  LeaderReduce(const HostComm& leaders, Transport transport);
  LeaderReduce(LeaderReduce&&) noexcept;
  LeaderReduce& operator=(LeaderReduce&&) noexcept;
  ~LeaderReduce();
  /// Sends a float32 host buffer of at most 2^30 elements on its way; it must not be touched until finish().
  void start(Buffer bucket);
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weightscope

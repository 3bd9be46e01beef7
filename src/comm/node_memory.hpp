#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "comm/host_comm.hpp"

namespace weightscope {

/// How ranks of a node come to see each other's memory. memfd: an anonymous file mapped by all, opened
/// through /proc; window: MPI-3 shared memory.
enum class NodeBacking { memfd, window };

/// Memory of one node: a zeroed segment per rank, mapped by all of its ranks.
class NodeMemory {
 public:
  /// Collective over `node`. bytes: of this rank's segment (ranks may differ). Every page is there on return,
  /// on huge pages where the system grants them, so a full machine shows here and not as a SIGBUS later.
  /// Error{comm} on all ranks alike when the system refuses.
  NodeMemory(const HostComm& node, std::size_t bytes, NodeBacking backing);
  NodeMemory(NodeMemory&&) noexcept;
  NodeMemory& operator=(NodeMemory&&) noexcept;
  ~NodeMemory();  ///< collective for windows

  /// Start of the segment of local rank r, aligned to 4 KiB at least.
  std::byte* segment(int r) const;
  /// Collective: what any rank wrote before is seen by all after.
  void fence() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weightscope

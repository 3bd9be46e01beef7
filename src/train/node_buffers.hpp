#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "comm/node_memory.hpp"
#include "config/run_config.hpp"
#include "model/param_store.hpp"

namespace weightscope {

/// Flat buffers of the CPU ranks of a node, in memory that all of them see: one copy of the weights for the
/// node, one gradient per rank.
class NodeBuffers {
 public:
  /// Collective over host; node: the ranks that share memory with this one. The same answer on all ranks:
  /// nullptr when the run cannot use it (GPUs, one rank per node, ZeRO-1 over several nodes, a summation tree
  /// that does not follow the nodes) or the system refuses. Error{comm} when it refuses the backing that
  /// parallel.shared_memory names.
  static std::unique_ptr<NodeBuffers> make(const RunConfig& config, DevicePlace place, const HostComm& host,
                                           HostComm node);

  FlatBuffers mine() const;                   ///< for this rank's ParamStore
  at::Tensor gradient(int local_rank) const;  ///< [N] float32
  std::span<double> squares() const;          ///< one per ops::kSquareBlock elements, the node's
  const HostComm& node() const { return node_; }
  /// The first rank of every node; meaningful on those ranks only.
  const HostComm& leaders() const { return leaders_; }
  int nodes() const { return nodes_; }
  void fence() const { gradients_->fence(); }

 private:
  NodeBuffers(const RunConfig& config, std::int64_t elements, HostComm node, HostComm leaders, int nodes);
  /// "" or why this node cannot have it. Collective over the node.
  std::string allocate(NodeBacking backing);
  at::Tensor floats(const NodeMemory& memory, int local_rank) const;

  std::int64_t elements_;
  bool mixed_;
  HostComm node_, leaders_;
  int nodes_;
  std::optional<NodeMemory> gradients_, weights_;
};

}  // namespace weightscope

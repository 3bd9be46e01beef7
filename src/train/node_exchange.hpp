#pragma once
#include "comm/leader_reduce.hpp"
#include "train/message_exchange.hpp"
#include "train/node_buffers.hpp"

namespace weightscope {

/// Ranks of a node read each other's gradients in shared memory: each adds up its shard of the flat buffer in
/// one fixed tree over the local ranks, measures it, updates it, and writes the weights once for all. Nothing
/// is sent within a node; between nodes the leaders sum by messages, bucket by bucket. Members as in
/// GradientExchange. (Rajbhandari et al. 2020 shard the same way, over messages.)
class NodeExchange {
 public:
  NodeExchange(const ParallelConfig& config, const ParamStore& store, const NodeBuffers& buffers);

  void begin_step() {}
  void ready(std::int64_t) {}
  void finish();

  Shard shard() const { return shard_; }
  const at::Tensor& reduced() const { return reduced_; }
  double gradient_norm() const;
  at::Tensor whole_gradient();
  void sum_over_shards(std::span<double> values) const { buffers_->node().sum(values); }
  void share_updated_weights() { buffers_->fence(); }
  void await_weights(std::int64_t) {}
  bool weights_under_way() const { return false; }
  void broadcast_weights();
  void broadcast_shards(const at::Tensor& part, int slot);
  at::Tensor gathered(const at::Tensor& part, int slot);
  double factor() const { return 1.0; }

 private:
  /// Sum of all local gradients of [begin, end) into `into`; squares: one per block from begin.
  void add_up(Shard part, const at::Tensor& into, std::span<double> squares);
  void add_up_over_nodes();

  const ParamStore* store_;
  const NodeBuffers* buffers_;
  std::int64_t bucket_;
  Shard shard_;
  at::Tensor reduced_;  ///< flat buffer whose part `shard_` holds the sum over the world
  std::vector<at::Tensor> gradients_;
  LeaderReduce leaders_;
};

}  // namespace weightscope

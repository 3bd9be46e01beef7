#pragma once
#include <ATen/core/Tensor.h>

#include <variant>
#include <vector>

#include "train/message_exchange.hpp"
#include "train/node_exchange.hpp"

namespace weightscope {

/// Turns the gradients of local micro-batches into the gradient of the global batch, and says which part of
/// it this rank updates. Every member is collective.
///
/// fast: micro-batches accumulate in the flat buffer itself. reproducible: gradients of single micro-batches
/// are summed in one fixed binary tree over the whole global batch — locally by a binary counter of partial
/// sums, over ranks pairwise — so the bits do not depend on the number of ranks.
class GradientExchange {
 public:
  /// Borrows all; micro_batches: local ones per step; node: shared memory of the ranks here, or nullptr.
  GradientExchange(const ParallelConfig& config, const ParamStore& store, TensorComm& comm,
                   const HostComm& host, const NodeBuffers* node, std::int64_t micro_batches);

  /// Weight of one token in the local objective, so that the exchange gives the mean over `global_tokens`.
  double token_weight(std::int64_t global_tokens) const;
  /// Whether backward of local micro-batch k adds to the buffer or replaces it.
  bool accumulates(std::int64_t k) const { return !reproducible_ && k > 0; }

  void begin_step();
  /// Gradients up to `offset` of the flat buffer are final for micro-batch k. The last one may send full
  /// buckets on their way.
  void ready(std::int64_t k, std::int64_t offset);
  /// Micro-batch k is through backward.
  void end_micro_batch(std::int64_t k);
  /// After the last: then reduced() holds the global gradient of this rank's shard.
  void finish();

  Shard shard() const;                ///< what this rank updates
  const at::Tensor& reduced() const;  ///< flat; meaningful in shard()
  double gradient_norm() const;       ///< L2, of the whole global gradient
  /// The global gradient, flat, all of it on every rank: after finish(), until gathered() or the next step.
  /// Ranks of a node may share its memory; each may change what it alone reads there.
  at::Tensor whole_gradient();
  /// The same, squared, [1] f64 where the gradients are; messages only. The host does not wait.
  at::Tensor squares() { return std::get<MessageExchange>(way_).squares(); }
  /// Σ over ranks of a [1] f64 tensor where the gradients are, in place; messages only. The host does not
  /// wait.
  void sum_over_ranks(at::Tensor& value) { std::get<MessageExchange>(way_).sum_over_ranks(value); }
  /// Recording of what is sent; messages only. TensorComm says how.
  void begin_recording() { std::get<MessageExchange>(way_).comm().begin_recording(); }
  std::int64_t end_recording() { return std::get<MessageExchange>(way_).comm().end_recording(); }
  void replayed(std::int64_t collectives);
  bool shards() const { return shard().size() < store_->size(); }  ///< not everything is updated here
  void sum_over_shards(
      std::span<double> values) const;  ///< in place: what each owner knows of its shard only
  /// After the update of all shards. Weights of other shards may still be on their way when it returns:
  void share_updated_weights();
  /// the elements from `offset` of the flat buffer on are about to be read, in master or work, by what is
  /// put on the current stream.
  void await_weights(std::int64_t offset = 0);
  bool weights_under_way() const;  ///< somebody has to wait before reading all
  void broadcast_weights();        ///< rank 0's master weights to all, working copies too
  /// All shards of `part` (shard() elements each) as one flat tensor; slot 0 or 1 names which spare memory
  /// carries it. Valid until the next step. With nothing sharded: part itself.
  at::Tensor gathered(const at::Tensor& part, int slot);
  /// Rank 0's elements of `part` (shard() of something flat, as for gathered()) to all that hold them, too.
  /// slot: as for gathered(). Nothing where each element is on one rank only.
  void broadcast_shards(const at::Tensor& part, int slot);
  bool shares_memory() const { return std::holds_alternative<NodeExchange>(way_); }

 private:
  const ParamStore* store_;
  std::int64_t micro_batches_;
  bool reproducible_;
  std::vector<at::Tensor> partial_;  ///< level i holds the sum of 2^i micro-batches
  std::variant<MessageExchange, NodeExchange> way_;
};

}  // namespace weightscope

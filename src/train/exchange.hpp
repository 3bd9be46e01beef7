#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "comm/tensor_comm.hpp"
#include "config/run_config.hpp"
#include "model/param_store.hpp"

namespace weightscope {

/// Turns the gradients of local micro-batches into the gradient of the global batch, in place in the flat
/// buffer.
///
/// fast: micro-batches accumulate in the buffer itself; each bucket is all-reduced as soon as backward has
/// finished it. reproducible: gradients of single micro-batches are summed in one fixed binary tree over the
/// whole global batch — locally by a binary counter of partial sums, over ranks by recursive doubling — so
/// the bits do not depend on the number of ranks. zero = 1: each rank ends up with its shard only
/// (reduce-scatter).
class GradientExchange {
 public:
  /// Borrows all; micro_batches: local ones per step.
  GradientExchange(const ParallelConfig& config, const ParamStore& store, TensorComm& comm, int rank,
                   int world, std::int64_t micro_batches);

  /// Weight of one token in the local objective, so that the exchange gives the mean over `global_tokens`.
  double token_weight(std::int64_t global_tokens) const;
  /// Whether backward of local micro-batch k adds to the buffer or replaces it.
  bool accumulates(std::int64_t k) const { return !reproducible_ && k > 0; }

  void begin_step() { next_ = 0; }
  /// Gradients up to `offset` of the flat buffer are final for micro-batch k. The last one sends full buckets
  /// on their way.
  void ready(std::int64_t k, std::int64_t offset);
  /// Micro-batch k is through backward.
  void end_micro_batch(std::int64_t k);
  /// After the last: the compute stream waits for what is under way; then the buffer holds the global
  /// gradient.
  void finish();
  /// ZeRO-1: every rank's updated shard to all. Nothing otherwise.
  void share_updated_weights();

 private:
  const ParamStore* store_;
  TensorComm* comm_;
  int rank_, world_;
  std::int64_t micro_batches_;
  bool reproducible_, sharded_;
  std::vector<std::int64_t> bucket_ends_;
  std::size_t next_ = 0;
  std::vector<at::Tensor> partial_;  ///< level i holds the sum of 2^i micro-batches
};

/// Ends of buckets of about `megabytes`, cut where a block's parameters begin; the last end is the size of
/// the buffer.
std::vector<std::int64_t> bucket_ends(const std::vector<Parameter>& table, std::int64_t size,
                                      double megabytes);

}  // namespace weightscope

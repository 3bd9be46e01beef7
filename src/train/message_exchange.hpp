#pragma once
#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "comm/tensor_comm.hpp"
#include "config/run_config.hpp"
#include "model/param_store.hpp"

namespace weightscope {

/// Elements [begin, end) of the flat buffers that a rank updates.
struct Shard {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
};

/// Every rank holds everything and gradients meet by messages (MPI or NCCL), bucket by bucket while backward
/// goes on: an all-reduce, or with ZeRO-1 a reduction to the owners of the bucket's elements, and each rank
/// updates its shard. Sums in a fixed order, and shards of gradients that travel as bf16, wait for the end:
/// all owners add up at the same time then. Members as in GradientExchange.
class MessageExchange {
 public:
  MessageExchange(const ParallelConfig& config, const ParamStore& store, TensorComm& comm,
                  const HostComm& host);

  void begin_step() { next_ = 0; }
  void ready(std::int64_t offset);
  void finish();

  Shard shard() const { return shard_; }
  const at::Tensor& reduced() const { return store_->grad(); }
  double gradient_norm() const;
  at::Tensor whole_gradient();
  at::Tensor squares();
  void sum_over_ranks(at::Tensor& value);
  void sum_over_shards(std::span<double> values) const;
  void share_updated_weights();
  void broadcast_weights();
  at::Tensor gathered(const at::Tensor& part, int slot);
  double factor() const;  ///< what the collectives divide by

 private:
  /// Nothing is sent before all gradients are final.
  bool at_once() const { return reproducible_ || (sharded() && wire_ == Wire::bf16); }
  void send(Shard bucket);
  bool sharded() const { return shard_.size() < store_->size(); }
  const ParamStore* store_;
  TensorComm* comm_;
  const HostComm* host_;
  bool reproducible_;
  Wire wire_;
  Shard shard_;
  std::vector<std::int64_t> bucket_ends_;
  std::size_t next_ = 0;
};

/// Ends of buckets of about `megabytes`, cut where a block's parameters begin; the last end is the size of
/// the buffer.
std::vector<std::int64_t> bucket_ends(const std::vector<Parameter>& table, std::int64_t size,
                                      double megabytes);

}  // namespace weightscope

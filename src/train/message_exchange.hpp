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
  at::Tensor of(const at::Tensor& flat) const { return flat.narrow(0, begin, size()); }
};

/// Every rank holds everything and gradients meet by messages (MPI or NCCL), bucket by bucket while backward
/// goes on: an all-reduce, or with ZeRO-1 a reduction to the owners of the bucket's elements, and each rank
/// updates its shard. Sums in a fixed order, and shards of gradients that travel as bf16, wait for the end:
/// all owners add up at the same time then. Updated shards come back by the same buckets, in the order in
/// which the next forward pass reads them, while it goes on. Members as in GradientExchange.
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
  void await_weights(std::int64_t offset);
  bool weights_under_way() const { return arriving_ > 0; }
  void broadcast_weights();
  void broadcast_shards(const at::Tensor& part, int slot);
  at::Tensor gathered(const at::Tensor& part, int slot);
  TensorComm& comm() { return *comm_; }
  double factor() const;  ///< what the collectives divide by

 private:
  /// Nothing is sent before all gradients are final.
  bool at_once() const { return reproducible_ || (sharded() && wire_ == Wire::bf16); }
  Shard bucket(std::size_t i) const { return {i == 0 ? 0 : bucket_ends_[i - 1], bucket_ends_[i]}; }
  void send(Shard bucket);
  /// f(owner, part) for each rank whose shard has a part of the bucket: shards are cut without regard to
  /// buckets.
  template <class F>
  void by_owner(Shard bucket, F&& f) const;
  void hide_weights_for_test();
  /// Whether a rank has only its shard of the reduced gradient. Not where bits are not to depend on the
  /// number of ranks: a norm would, if it came from sums over shards.
  bool parted() const { return sharded() && !reproducible_; }
  Shard summed() const { return parted() ? shard_ : Shard{0, store_->size()}; }
  bool sharded() const { return shard_.size() < store_->size(); }
  const ParamStore* store_;
  TensorComm* comm_;
  const HostComm* host_;
  bool reproducible_;
  Wire wire_;
  Shard shard_;
  std::vector<std::int64_t> bucket_ends_;
  std::size_t next_ = 0;      ///< bucket of gradients to send
  std::size_t arriving_ = 0;  ///< buckets of weights, the first ones, that nobody has waited for
  at::Tensor hidden_;         ///< weights that a test keeps until then
};

/// Ends of buckets of about `megabytes`, cut where a block's parameters begin; the last end is the size of
/// the buffer.
std::vector<std::int64_t> bucket_ends(const std::vector<Parameter>& table, std::int64_t size,
                                      double megabytes);

}  // namespace weightscope

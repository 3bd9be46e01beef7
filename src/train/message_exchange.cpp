#include "train/message_exchange.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "ops/ops.hpp"

namespace weightscope {

std::vector<std::int64_t> bucket_ends(const std::vector<Parameter>& table, std::int64_t size,
                                      double megabytes) {
  std::set<std::int64_t> cuts;  // where a block, wpe or wte begins: there gradients become final together
  for (const auto& p : table) {
    const bool first_of_block = std::none_of(
        table.begin(), table.end(), [&](const auto& q) { return q.layer == p.layer && q.offset < p.offset; });
    if (p.offset > 0 &&
        ((p.layer >= 0 && first_of_block) || p.name == "wpe.weight" || p.name == "wte.weight"))
      cuts.insert(p.offset);
  }
  std::vector<std::int64_t> ends;
  std::int64_t begin = 0;
  for (const auto cut : cuts)
    if (static_cast<double>(cut - begin) * 4 >= megabytes * 1048576) ends.push_back(begin = cut);
  ends.push_back(size);
  return ends;
}

MessageExchange::MessageExchange(const ParallelConfig& config, const ParamStore& store, TensorComm& comm,
                                 const HostComm& host)
    : store_(&store),
      comm_(&comm),
      host_(&host),
      reproducible_(config.reduction == Reduction::reproducible),
      wire_(config.transport == Precision::bf16 ? Wire::bf16 : Wire::f32),
      shard_{0, store.size()},
      bucket_ends_(bucket_ends(store.parameters(), store.size(), config.bucket_mb)) {
  if (config.zero == 0) return;
  const std::int64_t part = store.size() / host.size();
  shard_ = {host.rank() * part, (host.rank() + 1) * part};
}

double MessageExchange::factor() const { return reproducible_ || wire_ == Wire::bf16 ? 1.0 : host_->size(); }

void MessageExchange::ready(std::int64_t offset) {
  if (at_once()) return;
  for (; next_ < bucket_ends_.size() && bucket_ends_[next_] <= offset; ++next_)
    send({next_ == 0 ? 0 : bucket_ends_[next_ - 1], bucket_ends_[next_]});
}

void MessageExchange::send(Shard bucket) {
  const auto part = [&](std::int64_t begin, std::int64_t end) {
    return buffer_of(store_->grad().narrow(0, begin, end - begin));
  };
  if (!sharded()) {
    const auto whole = part(bucket.begin, bucket.end);
    return wire_ == Wire::bf16 ? comm_->all_reduce_sum_tree(whole, wire_) : comm_->all_reduce_mean(whole);
  }
  // Shards are cut without regard to buckets: a bucket goes to the few ranks whose shards it touches.
  const auto owner_of = [&](std::int64_t element) { return element / shard_.size(); };
  for (auto owner = owner_of(bucket.begin); owner <= owner_of(bucket.end - 1); ++owner)
    comm_->reduce_mean(part(std::max(bucket.begin, owner * shard_.size()),
                            std::min(bucket.end, (owner + 1) * shard_.size())),
                       static_cast<int>(owner));
}

void MessageExchange::finish() {
  const auto whole = buffer_of(store_->grad());
  if (at_once() && sharded())
    comm_->reduce_scatter_sum_tree(whole, buffer_of(store_->grad().narrow(0, shard_.begin, shard_.size())),
                                   wire_);
  else if (at_once())
    comm_->all_reduce_sum_tree(whole, wire_);
  comm_->wait(whole.stream);
}

double MessageExchange::gradient_norm() const {
  const double mine =
      ops::sum_of_squares(store_->grad().narrow(0, shard_.begin, shard_.size())).item<double>();
  return std::sqrt(sharded() ? host_->sum(mine) : mine);
}

at::Tensor MessageExchange::whole_gradient() {
  if (sharded()) {
    const auto whole = buffer_of(store_->grad());
    comm_->all_gather(buffer_of(store_->grad().narrow(0, shard_.begin, shard_.size())), whole);
    comm_->wait(whole.stream);
  }
  return store_->grad();
}

at::Tensor MessageExchange::squares() {
  auto mine = ops::sum_of_squares(store_->grad().narrow(0, shard_.begin, shard_.size()));
  if (sharded()) sum_over_ranks(mine);
  return mine;
}

void MessageExchange::sum_over_ranks(at::Tensor& value) {
  if (host_->size() == 1) return;
  const auto buffer = buffer_of(value);
  comm_->all_reduce_mean(buffer);
  comm_->wait(buffer.stream);
  value.mul_(host_->size());
}

void MessageExchange::sum_over_shards(std::span<double> values) const {
  if (sharded()) host_->sum(values);
}

void MessageExchange::share_updated_weights() {
  if (!sharded()) return;
  const auto whole = buffer_of(store_->master());
  comm_->all_gather(buffer_of(store_->master().narrow(0, shard_.begin, shard_.size())), whole);
  comm_->wait(whole.stream);
  store_->refresh_work();
}

void MessageExchange::broadcast_weights() {
  const auto whole = buffer_of(store_->master());
  comm_->broadcast(whole);
  comm_->wait(whole.stream);
  store_->refresh_work();
}

at::Tensor MessageExchange::gathered(const at::Tensor& part, int slot) {
  if (!sharded()) return part;
  auto whole = slot == 0 ? store_->grad() : at::empty_like(store_->grad());
  auto mine = whole.narrow(0, shard_.begin, shard_.size());
  mine.copy_(part);
  const auto buffer = buffer_of(whole);
  comm_->all_gather(buffer_of(mine), buffer);
  comm_->wait(buffer.stream);
  return whole;
}

}  // namespace weightscope

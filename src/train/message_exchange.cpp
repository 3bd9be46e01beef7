#include "train/message_exchange.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "core/fault_point.hpp"
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
  for (; next_ < bucket_ends_.size() && bucket_ends_[next_] <= offset; ++next_) send(bucket(next_));
}

template <class F>
void MessageExchange::by_owner(Shard bucket, F&& f) const {
  const auto owner_of = [&](std::int64_t element) { return element / shard_.size(); };
  for (auto owner = owner_of(bucket.begin); owner <= owner_of(bucket.end - 1); ++owner)
    f(static_cast<int>(owner), Shard{std::max(bucket.begin, owner * shard_.size()),
                                     std::min(bucket.end, (owner + 1) * shard_.size())});
}

void MessageExchange::send(Shard bucket) {
  const auto& grad = store_->grad();
  if (sharded())
    return by_owner(bucket,
                    [&](int owner, Shard part) { comm_->reduce_mean(buffer_of(part.of(grad)), owner); });
  const auto whole = buffer_of(bucket.of(grad));
  return wire_ == Wire::bf16 ? comm_->all_reduce_sum_tree(whole, wire_) : comm_->all_reduce_mean(whole);
}

void MessageExchange::finish() {
  const auto whole = buffer_of(store_->grad());
  if (at_once() && parted())
    comm_->reduce_scatter_sum_tree(whole, buffer_of(shard_.of(store_->grad())), wire_);
  else if (at_once())
    comm_->all_reduce_sum_tree(whole, wire_);
  comm_->wait(whole.stream);
}

double MessageExchange::gradient_norm() const {
  const double mine = ops::sum_of_squares(summed().of(store_->grad())).item<double>();
  return std::sqrt(parted() ? host_->sum(mine) : mine);
}

at::Tensor MessageExchange::whole_gradient() {
  if (parted()) {
    const auto whole = buffer_of(store_->grad());
    comm_->all_gather(buffer_of(shard_.of(store_->grad())), whole);
    comm_->wait(whole.stream);
  }
  return store_->grad();
}

at::Tensor MessageExchange::squares() {
  auto mine = ops::sum_of_squares(summed().of(store_->grad()));
  if (parted()) sum_over_ranks(mine);
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
  for (std::size_t i = bucket_ends_.size(); i-- > 0;) {  // forward reads from the end of the buffer
    by_owner(bucket(i),
             [&](int owner, Shard part) { comm_->broadcast(buffer_of(part.of(store_->master())), owner); });
    comm_->mark(i);
  }
  arriving_ = bucket_ends_.size();
  if (kFaultPoints && faulty_from("weights", 0)) hide_weights_for_test();
}

void MessageExchange::hide_weights_for_test() {
  hidden_ = store_->master().clone();
  at::Tensor(store_->master()).fill_(std::numeric_limits<double>::quiet_NaN());
  shard_.of(store_->master()).copy_(shard_.of(hidden_));
}

void MessageExchange::await_weights(std::int64_t offset) {
  for (; arriving_ > 0 && bucket_ends_[arriving_ - 1] > offset; --arriving_) {
    const auto part = bucket(arriving_ - 1);
    comm_->wait_for(arriving_ - 1, buffer_of(store_->master()).stream);
    if (hidden_.defined()) part.of(store_->master()).copy_(part.of(hidden_));
    store_->refresh_work(part.begin, part.end);
  }
}

void MessageExchange::broadcast_weights() {
  const auto whole = buffer_of(store_->master());
  comm_->broadcast(whole);
  comm_->wait(whole.stream);
  store_->refresh_work();
  arriving_ = 0;
}

void MessageExchange::broadcast_shards(const at::Tensor& part, int) {
  if (sharded()) return;
  const auto buffer = buffer_of(part);
  comm_->broadcast(buffer);
  comm_->wait(buffer.stream);
}

at::Tensor MessageExchange::gathered(const at::Tensor& part, int slot) {
  if (!sharded()) return part;
  auto whole = slot == 0 ? store_->grad() : at::empty_like(store_->grad());
  auto mine = shard_.of(whole);
  mine.copy_(part);
  const auto buffer = buffer_of(whole);
  comm_->all_gather(buffer_of(mine), buffer);
  comm_->wait(buffer.stream);
  return whole;
}

}  // namespace weightscope

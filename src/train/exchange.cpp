#include "train/exchange.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <set>

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

GradientExchange::GradientExchange(const ParallelConfig& config, const ParamStore& store, TensorComm& comm,
                                   int rank, int world, std::int64_t micro_batches)
    : store_(&store),
      comm_(&comm),
      rank_(rank),
      world_(world),
      micro_batches_(micro_batches),
      reproducible_(config.reduction == Reduction::reproducible),
      sharded_(config.zero == 1 && world > 1),
      bucket_ends_(bucket_ends(store.parameters(), store.size(), config.bucket_mb)) {
  const int levels =
      reproducible_ ? static_cast<int>(std::bit_width(static_cast<std::uint64_t>(micro_batches))) - 1 : 0;
  for (int i = 0; i < levels; ++i) partial_.push_back(at::empty_like(store.grad()));
}

double GradientExchange::token_weight(std::int64_t global_tokens) const {
  // The tree adds up without dividing; the other collectives take the mean over ranks.
  return (reproducible_ ? 1.0 : static_cast<double>(world_)) / static_cast<double>(global_tokens);
}

void GradientExchange::ready(std::int64_t k, std::int64_t offset) {
  if (reproducible_ || sharded_ || k + 1 < micro_batches_) return;
  for (; next_ < bucket_ends_.size() && bucket_ends_[next_] <= offset; ++next_) {
    const std::int64_t begin = next_ == 0 ? 0 : bucket_ends_[next_ - 1];
    comm_->all_reduce_mean(buffer_of(store_->grad().narrow(0, begin, bucket_ends_[next_] - begin)));
  }
}

void GradientExchange::end_micro_batch(std::int64_t k) {
  if (!reproducible_) return;
  auto sum = store_->grad();
  std::size_t level = 0;
  for (auto bits = static_cast<std::uint64_t>(k); (bits & 1U) != 0; bits >>= 1, ++level)
    at::add_out(sum, partial_[level], sum);
  if (k + 1 < micro_batches_) partial_[level].copy_(sum);
}

void GradientExchange::finish() {
  const auto whole = buffer_of(store_->grad());
  if (reproducible_) {
    comm_->all_reduce_sum_tree(whole);
  } else if (sharded_) {
    const std::int64_t part = store_->size() / world_;
    comm_->reduce_scatter_mean(whole, buffer_of(store_->grad().narrow(0, rank_ * part, part)));
  }
  comm_->wait(whole.stream);
}

void GradientExchange::share_updated_weights() {
  if (!sharded_) return;
  const std::int64_t part = store_->size() / world_;
  const auto whole = buffer_of(store_->master());
  comm_->all_gather(buffer_of(store_->master().narrow(0, rank_ * part, part)), whole);
  comm_->wait(whole.stream);
  store_->refresh_work();
}

}  // namespace weightscope

#include "train/exchange.hpp"

#include <ATen/ATen.h>

#include <bit>

namespace weightscope {
namespace {

using Way = std::variant<MessageExchange, NodeExchange>;

Way choose(const ParallelConfig& config, const ParamStore& store, TensorComm& comm, const HostComm& host,
           const NodeBuffers* node) {
  if (node != nullptr) return NodeExchange(config, store, *node);
  return MessageExchange(config, store, comm, host);
}

}  // namespace

GradientExchange::GradientExchange(const ParallelConfig& config, const ParamStore& store, TensorComm& comm,
                                   const HostComm& host, const NodeBuffers* node, std::int64_t micro_batches)
    : store_(&store),
      micro_batches_(micro_batches),
      reproducible_(config.reduction == Reduction::reproducible),
      way_(choose(config, store, comm, host, node)) {
  const int levels =
      reproducible_ ? static_cast<int>(std::bit_width(static_cast<std::uint64_t>(micro_batches))) - 1 : 0;
  for (int i = 0; i < levels; ++i) partial_.push_back(at::empty_like(store.grad()));
}

double GradientExchange::token_weight(std::int64_t global_tokens) const {
  return std::visit([](const auto& way) { return way.factor(); }, way_) / static_cast<double>(global_tokens);
}

void GradientExchange::begin_step() {
  std::visit([](auto& way) { way.begin_step(); }, way_);
}

void GradientExchange::ready(std::int64_t k, std::int64_t offset) {
  if (k + 1 == micro_batches_) std::visit([&](auto& way) { way.ready(offset); }, way_);
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
  std::visit([](auto& way) { way.finish(); }, way_);
}
Shard GradientExchange::shard() const {
  return std::visit([](const auto& way) { return way.shard(); }, way_);
}
const at::Tensor& GradientExchange::reduced() const {
  return std::visit([](const auto& way) -> const at::Tensor& { return way.reduced(); }, way_);
}
double GradientExchange::gradient_norm() const {
  return std::visit([](const auto& way) { return way.gradient_norm(); }, way_);
}
at::Tensor GradientExchange::whole_gradient() {
  return std::visit([](auto& way) { return way.whole_gradient(); }, way_);
}
void GradientExchange::replayed(std::int64_t collectives) {
  std::get<MessageExchange>(way_).comm().replayed(collectives, buffer_of(store_->grad()).stream);
}
void GradientExchange::sum_over_shards(std::span<double> values) const {
  std::visit([&](const auto& way) { way.sum_over_shards(values); }, way_);
}
void GradientExchange::share_updated_weights() {
  std::visit([](auto& way) { way.share_updated_weights(); }, way_);
}
void GradientExchange::await_weights(std::int64_t offset) {
  std::visit([&](auto& way) { way.await_weights(offset); }, way_);
}
bool GradientExchange::weights_under_way() const {
  return std::visit([](const auto& way) { return way.weights_under_way(); }, way_);
}
void GradientExchange::broadcast_weights() {
  std::visit([](auto& way) { way.broadcast_weights(); }, way_);
}
void GradientExchange::broadcast_shards(const at::Tensor& part, int slot) {
  std::visit([&](auto& way) { way.broadcast_shards(part, slot); }, way_);
}
at::Tensor GradientExchange::gathered(const at::Tensor& part, int slot) {
  return std::visit([&](auto& way) { return way.gathered(part, slot); }, way_);
}

}  // namespace weightscope

#include "train/node_exchange.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/ops.hpp"

namespace weightscope {
namespace {

Transport transport_of(const ParallelConfig& config) {
  if (config.reduction == Reduction::reproducible) return Transport::f32_tree;
  return config.transport == Precision::bf16 ? Transport::bf16 : Transport::f32;
}

std::int64_t blocks_in(std::int64_t elements) {
  return (elements + ops::kSquareBlock - 1) / ops::kSquareBlock;
}

/// Part `index` of `count` of [begin, end), cut at whole blocks.
Shard share_of(Shard whole, int index, int count) {
  const auto blocks = blocks_in(whole.size());
  const auto cut = [&](int i) {
    return std::min(whole.begin + blocks * i / count * ops::kSquareBlock, whole.end);
  };
  return {cut(index), cut(index + 1)};
}

}  // namespace

NodeExchange::NodeExchange(const ParallelConfig& config, const ParamStore& store, const NodeBuffers& buffers)
    : store_(&store),
      buffers_(&buffers),
      bucket_(std::max<std::int64_t>(1, std::llround(config.bucket_mb * 1048576 / 4 / ops::kSquareBlock)) *
              ops::kSquareBlock),
      shard_(share_of({0, store.size()}, buffers.node().rank(), buffers.node().size())),
      reduced_(buffers.nodes() == 1 ? store.grad() : buffers.gradient(0)),
      leaders_(buffers.leaders(), transport_of(config)) {
  for (int r = 0; r < buffers.node().size(); ++r) gradients_.push_back(buffers.gradient(r));
}

void NodeExchange::add_up(Shard part, const at::Tensor& into, std::span<double> squares) {
  std::vector<at::Tensor> parts;
  for (const auto& gradient : gradients_) parts.push_back(part.of(gradient));
  ops::sum_parts(parts, part.of(into), squares);
}

void NodeExchange::add_up_over_nodes() {
  std::vector<double> unused(static_cast<std::size_t>(blocks_in(bucket_)));
  const auto& node = buffers_->node();
  for (std::int64_t from = 0; from < store_->size(); from += bucket_) {
    const Shard bucket{from, std::min(from + bucket_, store_->size())};
    add_up(share_of(bucket, node.rank(), node.size()), reduced_, unused);
    buffers_->fence();
    if (node.is_root()) leaders_.start(buffer_of(bucket.of(reduced_)));
  }
  if (node.is_root()) leaders_.finish();
  buffers_->fence();
}

void NodeExchange::finish() {
  buffers_->fence();  // all gradients of the node are there
  auto squares = buffers_->squares().subspan(static_cast<std::size_t>(shard_.begin / ops::kSquareBlock));
  if (buffers_->nodes() == 1) {
    add_up(shard_, reduced_, squares);
  } else {
    add_up_over_nodes();
    ops::squares_of_blocks(shard_.of(reduced_), squares);
  }
  buffers_->fence();  // all block sums are there
}

double NodeExchange::gradient_norm() const {
  const auto squares = buffers_->squares();  // the same order on every rank, as one process would add them
  return std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
}

at::Tensor NodeExchange::whole_gradient() {
  if (buffers_->nodes() > 1) return reduced_;  // the leaders have brought all of it to each node
  auto whole = gradients_[0];
  if (!buffers_->node().is_root())  // whose own part is there already
    shard_.of(whole).copy_(shard_.of(reduced_));
  buffers_->fence();
  return whole;
}

void NodeExchange::broadcast_weights() {
  if (buffers_->node().is_root())
    buffers_->leaders().broadcast(
        std::span(static_cast<std::byte*>(store_->master().data_ptr()), store_->master().nbytes()));
  buffers_->fence();
  if (store_->types().mixed()) shard_.of(store_->work()).copy_(shard_.of(store_->master()));
  buffers_->fence();
}

/// Nodes may cut differently: what they hold is put together, sent, and cut again.
void NodeExchange::broadcast_shards(const at::Tensor& part, int slot) {
  if (buffers_->nodes() == 1) return;
  const auto whole = gathered(part, slot);
  if (buffers_->node().is_root())
    buffers_->leaders().broadcast(
        std::span(static_cast<std::byte*>(whole.mutable_data_ptr()), whole.nbytes()));
  buffers_->fence();
  if (!whole.is_same(part)) at::Tensor(part).copy_(shard_.of(whole));
  buffers_->fence();
}

at::Tensor NodeExchange::gathered(const at::Tensor& part, int slot) {
  if (buffers_->node().size() == 1) return part;
  // The gradients of local ranks 0 and 1 are free between steps and large enough.
  auto whole = gradients_[static_cast<std::size_t>(slot)];
  shard_.of(whole).copy_(part);
  buffers_->fence();
  return whole;
}

}  // namespace weightscope

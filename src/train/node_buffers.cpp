#include "train/node_buffers.hpp"

#include <ATen/ATen.h>

#include <bit>

#include "core/log.hpp"
#include "ops/ops.hpp"

namespace weightscope {
namespace {

std::int64_t blocks_of(std::int64_t elements) {
  return (elements + ops::kSquareBlock - 1) / ops::kSquareBlock;
}

/// Bytes of the leader's weights segment: master, bf16 copy, block sums. Others have none.
std::size_t weight_bytes(std::int64_t n, bool mixed) {
  return static_cast<std::size_t>((mixed ? 6 : 4) * n + 8 * blocks_of(n));
}

/// Local ranks follow each other in the job and every node has as many, a power of two: then a tree over the
/// nodes' trees is the tree over all ranks.
bool tree_follows_nodes(const HostComm& host, const HostComm& node) {
  const bool aligned =
      host.rank() % node.size() == node.rank() && std::has_single_bit(static_cast<unsigned>(node.size()));
  return host.max(std::int64_t{aligned ? 0 : 1}) == 0 &&
         host.max(std::int64_t{node.size()}) == -host.max(std::int64_t{-node.size()});
}

bool wanted(const RunConfig& config, DevicePlace place, const HostComm& host, const HostComm& node,
            int nodes) {
  const auto& p = config.parallel;
  const bool possible =
      place.place == Place::host && p.shared_memory != SharedMemory::off && (p.zero == 0 || nodes == 1);
  if (!possible || host.max(std::int64_t{node.size()}) == 1) return false;
  return p.reduction == Reduction::fast || tree_follows_nodes(host, node);
}

}  // namespace

NodeBuffers::NodeBuffers(const RunConfig& config, std::int64_t elements, HostComm node, HostComm leaders,
                         int nodes)
    : elements_(elements),
      mixed_(types_of(config.train.precision).mixed()),
      node_(std::move(node)),
      leaders_(std::move(leaders)),
      nodes_(nodes) {}

std::string NodeBuffers::allocate(NodeBacking backing) {
  try {
    gradients_.emplace(node_, static_cast<std::size_t>(4 * elements_), backing);
    weights_.emplace(node_, node_.is_root() ? weight_bytes(elements_, mixed_) : 1, backing);
    return "";
  } catch (const Error& e) {
    weights_.reset();
    gradients_.reset();
    return e.what();
  }
}

std::unique_ptr<NodeBuffers> NodeBuffers::make(const RunConfig& config, DevicePlace place,
                                               const HostComm& host, HostComm node) {
  HostComm leaders = host.split(node.is_root() ? 0 : 1);
  const auto nodes = static_cast<int>(host.sum(node.is_root() ? 1.0 : 0.0));
  if (!wanted(config, place, host, node, nodes)) return nullptr;
  const auto n = flat_size(parameter_table(config.model), host.size());
  std::unique_ptr<NodeBuffers> buffers(
      new NodeBuffers(config, n, std::move(node), std::move(leaders), nodes));
  const auto choice = config.parallel.shared_memory;
  for (const auto backing : {NodeBacking::memfd, NodeBacking::window}) {
    if (choice == (backing == NodeBacking::memfd ? SharedMemory::window : SharedMemory::memfd)) continue;
    const auto failure = buffers->allocate(backing);
    if (choice != SharedMemory::automatic)
      host.agree(failure.empty() ? 0 : static_cast<int>(Fault::comm), failure);
    if (host.max(std::int64_t{failure.empty() ? 0 : 1}) == 0) return buffers;
  }
  if (host.is_root()) log_info("no shared memory on some node: gradients travel by messages");
  return nullptr;
}

at::Tensor NodeBuffers::floats(const NodeMemory& memory, int local_rank) const {
  return at::from_blob(memory.segment(local_rank), {elements_}, at::kFloat);
}

at::Tensor NodeBuffers::gradient(int local_rank) const { return floats(*gradients_, local_rank); }

FlatBuffers NodeBuffers::mine() const {
  FlatBuffers f{floats(*weights_, 0), gradient(node_.rank()), {}};
  f.work =
      mixed_ ? at::from_blob(weights_->segment(0) + 4 * elements_, {elements_}, at::kBFloat16) : f.master;
  return f;
}

std::span<double> NodeBuffers::squares() const {
  auto* at = weights_->segment(0) + (mixed_ ? 6 : 4) * elements_;
  return {reinterpret_cast<double*>(at), static_cast<std::size_t>(blocks_of(elements_))};
}

}  // namespace weightscope

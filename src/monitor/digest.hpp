#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/host_comm.hpp"
#include "core/weight_slice.hpp"

namespace weightscope {

/// Order-independent 64-bit hash of the bits of each slice's weights: Σ digest_term(index, pair) mod 2^64.
/// Same on any number of threads; a flipped bit anywhere changes it.
std::vector<std::uint64_t> digests(std::span<const WeightSlice> slices, int threads = 0);

/// Where replicas differ: the first parameter (in slice order) and the ranks that disagree with rank 0.
struct Divergence {
  std::string parameter;
  std::vector<int> ranks;
};

/// Collective; the same answer on every rank. Empty when all replicas are equal.
std::optional<Divergence> compare_replicas(const HostComm& host, std::span<const WeightSlice> slices);

}  // namespace weightscope

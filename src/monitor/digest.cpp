#include "monitor/digest.hpp"

#include <omp.h>

#include <bit>
#include <cstring>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "monitor/blocks.hpp"
#include "monitor/cpu/block_kernel.hpp"
#include "monitor/device_meter.hpp"
#include "monitor/digest_term.hpp"

namespace weightscope {
namespace {

std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }

std::vector<std::uint64_t> digests_on_host(std::span<const WeightSlice> slices, int threads) {
  const auto kernel = usable_block_kernels().back();
  const Pass pass(slices);
  std::vector<std::uint64_t> part(pass.chunks.size()), sums(slices.size());
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (std::size_t c = 0; c < pass.chunks.size(); ++c) {
    const auto& chunk = pass.chunks[c];
    const auto* x = static_cast<const float*>(slices[chunk.slice].weights.data);
    const auto end = chunk.offset + chunk.count, pairs = end / 2;
    const auto first = chunk.offset / 2;
    auto sum = kernel.digest(x + chunk.offset, first, pairs - first);
    if (end % 2 != 0) sum += digest_term(pairs, bits(x[end - 1]), 0);
    part[c] = sum;
  }
  for (std::size_t c = 0; c < part.size(); ++c) sums[pass.chunks[c].slice] += part[c];
  return sums;
}

/// The first slice at which some rank differs from rank 0, and those ranks. On rank 0.
std::optional<Divergence> first_difference(const std::vector<std::vector<std::byte>>& all,
                                           std::span<const WeightSlice> slices) {
  for (std::size_t i = 0; i < slices.size(); ++i) {
    Divergence found;
    for (std::size_t r = 1; r < all.size(); ++r)
      if (all[r].size() != all[0].size() || std::memcmp(all[r].data() + i * 8, all[0].data() + i * 8, 8) != 0)
        found.ranks.push_back(static_cast<int>(r));
    if (found.ranks.empty()) continue;
    found.parameter = slices[i].parameter;
    return found;
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::uint64_t> digests(std::span<const WeightSlice> slices, int threads) {
  if (slices.empty()) return {};
  if (threads <= 0) threads = omp_get_max_threads();
  for (const auto& s : slices)
    require(s.weights.dtype == DType::f32 && s.weights.place == slices.front().weights.place, Fault::internal,
            "weights to digest must be float32 in one place: " + s.parameter);
  return slices.front().weights.place == Place::cuda ? digests_on_device(slices)
                                                     : digests_on_host(slices, threads);
}

std::optional<Divergence> compare_replicas(const HostComm& host, std::span<const WeightSlice> slices) {
  std::vector<std::uint64_t> mine;
  host.together([&] { mine = digests(slices); });
  const auto all = host.gather(std::as_bytes(std::span<const std::uint64_t>(mine)));
  std::string verdict;  // "" or one rank per line, the parameter last
  if (host.is_root())
    if (const auto found = first_difference(all, slices)) {
      for (const int rank : found->ranks) verdict += std::to_string(rank) + "\n";
      verdict += found->parameter;
    }
  verdict = host.broadcast(verdict);
  if (verdict.empty()) return std::nullopt;
  Divergence divergence;
  std::size_t at = 0;
  for (std::size_t end; (end = verdict.find('\n', at)) != std::string::npos; at = end + 1)
    divergence.ranks.push_back(std::stoi(verdict.substr(at, end - at)));
  divergence.parameter = verdict.substr(at);
  return divergence;
}

}  // namespace weightscope

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/ops.hpp"

namespace weightscope::ops {
namespace {

/// Logits in memory at a time: some megabytes, and rows enough for the product to run well.
constexpr std::int64_t kLogitsAtOnce = 1 << 19;

std::int64_t queries_at_once(std::int64_t tokens, std::int64_t heads) {
  return std::clamp<std::int64_t>(kLogitsAtOnce / (heads * tokens), 1, tokens);
}

/// NaN wins: a logit that is none must show.
double larger(double a, double b) { return std::isnan(a) || a > b ? a : b; }

/// Adds what queries [from, from + n) see of keys [0, from + n): q_HnD, k_HkD, full.
void add_queries(const at::Tensor& q_HnD, const at::Tensor& k_HkD, std::int64_t from, double scale,
                 std::vector<HeadLogits>& heads) {
  const auto n = q_HnD.size(1);
  const auto logits =
      at::bmm(q_HnD, k_HkD.transpose(1, 2)).div_(std::sqrt(static_cast<double>(q_HnD.size(2))) / scale);
  const auto future = at::ones({n, k_HkD.size(1)}, logits.options().dtype(at::kBool)).triu(from + 1);
  // Row by row in LibTorch, then in order here: the same bits for any number of threads.
  const auto squares =
      logits.masked_fill(future, 0).square_().sum(at::IntArrayRef{2}, false, at::kDouble).cpu();
  const auto past = logits.masked_fill(future, -std::numeric_limits<double>::infinity());
  const auto largest = past.amax(2).to(at::kCPU, at::kDouble);
  const auto log_p = at::log_softmax(past, 2);
  const auto entropy =
      log_p.exp().mul_(log_p.masked_fill(future, 0)).sum(at::IntArrayRef{2}, false, at::kDouble).neg_().cpu();
  const auto s = squares.accessor<double, 2>(), m = largest.accessor<double, 2>(),
             e = entropy.accessor<double, 2>();
  for (std::int64_t h = 0; h < q_HnD.size(0); ++h) {
    auto& head = heads[static_cast<std::size_t>(h)];
    for (std::int64_t i = 0; i < n; ++i) {
      head.max = larger(m[h][i], head.max);
      head.sum_of_squares += s[h][i];
      head.entropy += e[h][i];
    }
  }
}

}  // namespace

std::vector<HeadLogits> attention_logits(const at::Tensor& qkv_T3C, std::int64_t heads, double scale) {
  const std::int64_t T = qkv_T3C.size(0), D = qkv_T3C.size(1) / (3 * heads);
  const auto full = qkv_T3C.scalar_type() == at::kBFloat16 ? at::kFloat : qkv_T3C.scalar_type();
  const auto part = [&](std::int64_t index) {
    return qkv_T3C.view({T, 3, heads, D}).select(1, index).transpose(0, 1).to(full).contiguous();
  };
  const auto q_HTD = part(0), k_HTD = part(1);
  std::vector<HeadLogits> result(static_cast<std::size_t>(heads));
  const auto step = queries_at_once(T, heads);
  for (std::int64_t from = 0; from < T; from += step) {
    const auto n = std::min(step, T - from);
    add_queries(q_HTD.narrow(1, from, n), k_HTD.narrow(1, 0, from + n), from, scale, result);
  }
  return result;
}

std::int64_t attention_logits_bytes(std::int64_t tokens, std::int64_t heads, std::int64_t width) {
  constexpr std::int64_t kCopies = 6;  // of the logits, masked and transformed
  return static_cast<std::int64_t>(sizeof(float)) *
         (kCopies * queries_at_once(tokens, heads) * heads * tokens + 2 * tokens * width);
}

}  // namespace weightscope::ops

// Times the attention kernels against ATen's flash attention for CPU, alternating between the two, on several
// sets of tensors in turn so that, as in a training step of many layers, inputs come from memory and not from
// cache.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "ops/cpu/kernels.hpp"
#include "ops/ops.hpp"

namespace {

using namespace weightscope;

struct Layer {
  at::Tensor qkv, dout, out, lse, dqkv, q, k, v, dout_heads, flash_out, flash_lse;
};

Layer make_layer(const ops::Attention& a, std::int64_t T, std::int64_t D, at::ScalarType type) {
  const auto C = a.heads * D, B = a.batch;
  Layer l;
  l.qkv = at::randn({B * T, 3 * C}).to(type), l.dout = at::randn({B * T, C}).to(type);
  l.out = at::empty_like(l.dout), l.lse = at::empty({B, a.heads, T}), l.dqkv = at::empty_like(l.qkv);
  const auto parts = l.qkv.view({B, T, 3, a.heads, D}).permute({2, 0, 3, 1, 4}).unbind(0);
  l.q = parts[0], l.k = parts[1], l.v = parts[2];
  l.dout_heads = l.dout.view({B, T, a.heads, D}).transpose(1, 2);
  return l;
}

void ours_forward(Layer& l, const ops::Attention& a) { ops::attention(l.qkv, l.out, l.lse, a); }
void ours_backward(Layer& l, const ops::Attention& a) {
  ops::attention_backward(l.dout, l.qkv, l.out, l.lse, l.dqkv, a);
}
void flash_forward(Layer& l, const ops::Attention&) {
  std::tie(l.flash_out, l.flash_lse) =
      at::_scaled_dot_product_flash_attention_for_cpu(l.q, l.k, l.v, 0.0, true);
}
/// With the copies into the fused gradient that a step needs.
void flash_backward(Layer& l, const ops::Attention&) {
  const auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      l.dout_heads, l.q, l.k, l.v, l.flash_out, l.flash_lse, 0.0, true);
  const auto to = l.dqkv.view({l.qkv.size(0) / l.q.size(2), l.q.size(2), 3, l.q.size(1), l.q.size(3)})
                      .permute({2, 0, 3, 1, 4})
                      .unbind(0);
  to[0].copy_(dq), to[1].copy_(dk), to[2].copy_(dv);
}

/// Milliseconds of one call: the median over rounds that alternate between the four.
std::vector<double> medians(const ops::Attention& a, std::int64_t T, std::int64_t D, at::ScalarType type,
                            int rounds, int layers) {
  std::vector<Layer> all;
  for (int i = 0; i < layers; ++i) all.push_back(make_layer(a, T, D, type));
  constexpr void (*kWork[])(Layer&, const ops::Attention&) = {ours_forward, flash_forward, ours_backward,
                                                              flash_backward};
  std::vector<std::vector<double>> times(4);
  for (int round = 0; round < rounds + 2; ++round)
    for (std::size_t w = 0; w < 4; ++w) {
      const auto start = std::chrono::steady_clock::now();
      for (auto& layer : all) kWork[w](layer, a);
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
      if (round >= 2) times[w].push_back(took.count() / layers);
    }
  std::vector<double> result;
  for (auto& t : times) {
    std::nth_element(t.begin(), t.begin() + rounds / 2, t.end());
    result.push_back(t[static_cast<std::size_t>(rounds / 2)]);
  }
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  std::printf("kernels %s\n%8s %4s %5s %4s %4s %8s | %9s %9s | %9s %9s | %6s  (ms, median of %d)\n",
              cpu::kernels().isa, "threads", "B", "T", "H", "D", "type", "forward", "ATen", "backward",
              "ATen", "ratio", rounds);
  struct Case {
    std::int64_t B, T, H, D;
    int layers;
  };
  for (const int threads : {2, 1}) {
    at::set_num_threads(threads);
    for (const auto type : {at::kBFloat16, at::kFloat})
      for (const auto& [B, T, H, D, layers] :
           {Case{16, 256, 6, 64, 6}, {4, 64, 12, 64, 12}, {1, 1024, 12, 64, 4}, {2, 512, 4, 128, 4}}) {
        const auto m = medians({B, H}, T, D, type, rounds, layers);
        std::printf("%8d %4ld %5ld %4ld %4ld %8s | %9.3f %9.3f | %9.3f %9.3f | %6.2f\n", threads, B, T, H, D,
                    c10::toString(type), m[0], m[1], m[2], m[3], (m[1] + m[3]) / (m[0] + m[2]));
      }
  }
}

// Every operator of the step beside its LibTorch reference (Google Benchmark): sizes of one layer of the
// reference model S (6 heads, width 384, 16 × 256 tokens). The argument of each is 32 (float32) or 16 (bf16).
//   weightscope_bench_operators --benchmark_repetitions=9 --benchmark_enable_random_interleaving=true
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <string>

#include "ops/ops.hpp"

namespace weightscope::ops {
namespace {

constexpr std::int64_t kB = 16, kT = 256, kR = kB * kT, kC = 384, kH = 6, kV = 256;

at::ScalarType type_of(const benchmark::State& state) {
  return state.range(0) == 16 ? at::kBFloat16 : at::kFloat;
}
at::Tensor work(const benchmark::State& state, std::int64_t rows, std::int64_t columns) {
  return at::randn({rows, columns}).to(type_of(state));
}

template <auto Operator>
void layer_norm(benchmark::State& state) {
  const auto x = at::randn({kR, kC}), w = at::ones({kC}), b = at::zeros({kC});
  const auto branch = work(state, kR, kC);
  at::Tensor s = at::empty_like(x), y = work(state, kR, kC), mean = at::empty({kR}), rstd = at::empty({kR});
  for (auto _ : state) Operator(x, branch, s, w, b, y, mean, rstd);
}

template <auto Forward, auto Backward>
void layer_norm_gradient(benchmark::State& state) {
  const auto x = at::randn({kR, kC}), w = at::ones({kC}), b = at::zeros({kC});
  const auto branch = work(state, kR, kC), dy = work(state, kR, kC);
  at::Tensor s = at::empty_like(x), y = work(state, kR, kC), mean = at::empty({kR}), rstd = at::empty({kR});
  at::Tensor ds = at::zeros({kR, kC}), ds_work = type_of(state) == at::kFloat ? ds : work(state, kR, kC),
             dw = at::zeros({kC}), db = at::zeros({kC});
  Forward(x, branch, s, w, b, y, mean, rstd);
  for (auto _ : state)
    Backward(dy, s, mean, rstd, w, ds, Write::assign, ds_work, dw, db, at::Tensor(), Write::assign);
}

template <auto Operator>
void gelu_forward(benchmark::State& state) {
  const auto x = work(state, kR, 4 * kC);
  at::Tensor y = at::empty_like(x);
  for (auto _ : state) Operator(x, y, Gelu::tanh);
}

template <auto Operator>
void gelu_gradient(benchmark::State& state) {
  const auto x = work(state, kR, 4 * kC);
  at::Tensor dy = work(state, kR, 4 * kC), db = at::zeros({4 * kC});
  for (auto _ : state) {
    Operator(x, dy, db, Gelu::tanh, Write::assign);
    dy.fill_(1);
  }
}

template <auto Operator>
void attention_forward(benchmark::State& state) {
  const auto qkv = work(state, kR, 3 * kC);
  at::Tensor out = work(state, kR, kC), lse = at::empty({kB, kH, kT});
  for (auto _ : state) Operator(qkv, out, lse, Attention{kB, kH});
}

template <auto Forward, auto Backward>
void attention_gradient(benchmark::State& state) {
  const auto qkv = work(state, kR, 3 * kC), dout = work(state, kR, kC);
  at::Tensor out = work(state, kR, kC), lse = at::empty({kB, kH, kT}), dqkv = at::empty_like(qkv);
  Forward(qkv, out, lse, Attention{kB, kH});
  for (auto _ : state) Backward(dout, qkv, out, lse, dqkv, Attention{kB, kH});
}

template <auto Operator>
void cross_entropy_and_gradient(benchmark::State& state) {
  at::Tensor logits = work(state, kR, kV), loss = at::zeros({1}, at::kDouble);
  const auto targets = at::randint(kV, {kR});
  for (auto _ : state) Operator(logits, targets, kV, 1.0 / kR, loss);
}

template <auto Operator>
void adamw_update(benchmark::State& state) {
  const std::int64_t n = 1 << 22;
  const auto w = at::randn({n}), g = at::randn({n}), m = at::zeros({n}), v = at::zeros({n});
  const auto copy = type_of(state) == at::kFloat ? at::Tensor() : w.to(at::kBFloat16);
  for (auto _ : state) Operator(w, g, m, v, copy, AdamW{1e-4}, at::Tensor());
}

using Work = void (*)(benchmark::State&);

void pair(const std::string& name, Work ours, Work libtorch) {
  for (const auto& [who, work] : {std::pair{"/ours", ours}, {"/LibTorch", libtorch}})
    benchmark::RegisterBenchmark((name + who).c_str(), work)->Arg(32)->Arg(16)->UseRealTime();
}

void register_all() {
  pair("layer_norm", layer_norm<residual_layer_norm>, layer_norm<reference::residual_layer_norm>);
  pair("layer_norm_backward", layer_norm_gradient<residual_layer_norm, layer_norm_backward>,
       layer_norm_gradient<reference::residual_layer_norm, reference::layer_norm_backward>);
  pair("gelu", gelu_forward<gelu>, gelu_forward<reference::gelu>);
  pair("gelu_backward", gelu_gradient<gelu_backward>, gelu_gradient<reference::gelu_backward>);
  pair("attention", attention_forward<attention>, attention_forward<reference::attention>);
  pair("attention_backward", attention_gradient<attention, attention_backward>,
       attention_gradient<reference::attention, reference::attention_backward>);
  pair("cross_entropy", cross_entropy_and_gradient<cross_entropy>,
       cross_entropy_and_gradient<reference::cross_entropy>);
  pair("adamw", adamw_update<adamw>, adamw_update<reference::adamw>);
}

}  // namespace
}  // namespace weightscope::ops

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  weightscope::ops::register_all();
  benchmark::RunSpecifiedBenchmarks();
}

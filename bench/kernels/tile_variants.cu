// Times ways to launch the kernel of monitor/cuda/tile_stats.cuh on the 36 Q, K and V matrices of GPT-2 124M,
// head by head, beside a kernel that only reads them. Prints a Markdown table; medians, caches cold.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "bench/head_slices.hpp"
#include "monitor/cuda/tile_stats.cuh"
#include "monitor/tiles.hpp"

namespace weightscope::bench {
namespace {

void check(int status) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(static_cast<cudaError_t>(status)));
  std::exit(1);
}

template <class T>
T* on_device(const std::vector<T>& values) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, values.size() * sizeof(T)));
  check(cudaMemcpy(memory, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
  return static_cast<T*>(memory);
}

__global__ void __launch_bounds__(256, 8) read_only(const float4* x, std::size_t n, float* out) {
  float sum = 0;
#pragma unroll 4
  for (std::size_t i = blockIdx.x * std::size_t{256} + threadIdx.x; i < n;
       i += gridDim.x * std::size_t{256}) {
    const float4 v = __ldcs(x + i);
    sum += v.x + v.y + v.z + v.w;
  }
  if (sum == 1e30F) *out = sum;
}

using Launch = void (*)(unsigned tiles, const DeviceTile*, BlockStats*, std::uint32_t*);

template <int kPerLane, int kWarps, bool kInitial, int kBlocks>
void launch(unsigned tiles, const DeviceTile* table, BlockStats* stats, std::uint32_t* counters) {
  tile_stats<kPerLane, kWarps, kInitial, kBlocks><<<tiles, kWarps * 32>>>(table, stats, counters);
}

struct Variant {
  const char* name;
  bool initial;
  Launch launch;
};

template <int kPerLane, int kWarps, bool kInitial, int kBlocks>
Variant variant(const char* name) {
  return {name, kInitial, launch<kPerLane, kWarps, kInitial, kBlocks>};
}

/// The weights three times, so that no launch finds those of the one before in the caches.
constexpr int kCopies = 3;

struct Data {
  std::vector<float> host = random_heads(1), before = random_heads(2);
  std::vector<float*> now;
  float* initial = on_device(before);
  Data() {
    for (int i = 0; i < kCopies; ++i) now.push_back(on_device(host));
  }
  double bytes(bool moved) const { return static_cast<double>(host.size()) * 4 * (moved ? 2 : 1); }
};

/// Median microseconds of one launch; `run` gets its number.
template <class Run>
double time(Run run) {
  constexpr int kLaunches = 40;
  std::vector<cudaEvent_t> events(kLaunches + 1);
  for (auto& e : events) check(cudaEventCreate(&e));
  for (int i = 0; i < 3; ++i) run(i);
  std::vector<float> times(kLaunches);
  for (int i = 0; i < kLaunches; ++i) {
    check(cudaEventRecord(events[0]));
    run(i);
    check(cudaEventRecord(events[1]));
    check(cudaEventSynchronize(events[1]));
    check(cudaEventElapsedTime(&times[static_cast<std::size_t>(i)], events[0], events[1]));
  }
  check(cudaGetLastError());
  for (auto& e : events) cudaEventDestroy(e);
  std::nth_element(times.begin(), times.begin() + kLaunches / 2, times.end());
  return 1e3 * static_cast<double>(times[kLaunches / 2]);
}

struct Prepared {
  std::vector<DeviceTile*> tables;
  BlockStats* stats;
  std::uint32_t* counters;
};

Prepared prepare(const Data& data, const TilePlan& plan, bool initial) {
  Prepared p;
  for (float* weights : data.now) {
    const auto slices = head_slices(weights, data.initial);
    std::vector<DeviceTile> tiles;
    for (const auto& t : plan.tiles)
      tiles.push_back({static_cast<const float*>(slices[t.slice].weights.data) + t.offset,
                       initial ? slices[t.slice].initial + t.offset : nullptr, t.offset,
                       static_cast<std::uint32_t>(t.count), static_cast<std::uint32_t>(t.row)});
    p.tables.push_back(on_device(tiles));
  }
  p.stats = on_device(std::vector<BlockStats>(plan.tiles.size()));
  p.counters = on_device(std::vector<std::uint32_t>(plan.rows() * kSlots));
  return p;
}

/// What one launch counted, and its m2; to be the same for all variants.
void fingerprint(const Prepared& p, const TilePlan& plan) {
  std::vector<BlockStats> stats(plan.tiles.size());
  std::vector<std::uint32_t> counters(plan.rows() * kSlots);
  check(cudaMemcpy(stats.data(), p.stats, stats.size() * sizeof(BlockStats), cudaMemcpyDeviceToHost));
  check(cudaMemcpy(counters.data(), p.counters, counters.size() * 4, cudaMemcpyDeviceToHost));
  Measurement all;
  std::vector<Measurement> measured;
  plan.combine(stats, counters, measured);
  for (const auto& m : measured) merge(all, m);
  std::uint64_t counted = all.histogram.overflow, weighted = 0;
  for (std::size_t i = 0; i < all.histogram.bins.size(); ++i)
    counted += all.histogram.bins[i], weighted += i * all.histogram.bins[i];
  std::printf(" %llu, %llu, %.15g |\n", static_cast<unsigned long long>(counted),
              static_cast<unsigned long long>(weighted), all.summary.m2);
}

void measure(const Data& data, const Variant& variant, std::size_t tile) {
  const TilePlan plan(head_slices(data.now[0], data.initial), tile);
  const auto p = prepare(data, plan, variant.initial);
  const auto tiles = static_cast<unsigned>(plan.tiles.size());
  const double us = time([&](int i) { variant.launch(tiles, p.tables[i % kCopies], p.stats, p.counters); });
  std::printf("| %s | %zu | %.1f | %.0f |", variant.name, tile, us, data.bytes(variant.initial) / us / 1e3);
  check(cudaMemset(p.counters, 0, plan.rows() * kSlots * 4));
  variant.launch(tiles, p.tables[0], p.stats, p.counters);
  fingerprint(p, plan);
  for (auto* table : p.tables) cudaFree(table);
  cudaFree(p.stats), cudaFree(p.counters);
}

void all() {
  const Data data;
  int device = 0, processors = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
  std::printf("| values per lane, warps, blocks per processor | tile | µs | GB/s | counted, Σ bin, m2 |\n");
  std::printf("| --- | --: | --: | --: | --: |\n");
  float* out = on_device(std::vector<float>(1));
  const double us = time([&](int i) {
    read_only<<<processors * 8, 256>>>(reinterpret_cast<const float4*>(data.now[i % kCopies]),
                                       data.host.size() / 4, out);
  });
  std::printf("| only reads | | %.1f | %.0f | |\n", us, data.bytes(false) / us / 1e3);
  const Variant plain[] = {variant<32, 8, false, 2>("32, 8, 2"), variant<32, 8, false, 3>("32, 8, 3"),
                           variant<32, 8, false, 4>("32, 8, 4"), variant<16, 8, false, 4>("16, 8, 4"),
                           variant<16, 8, false, 5>("16, 8, 5"), variant<32, 4, false, 6>("32, 4, 6"),
                           variant<16, 4, false, 8>("16, 4, 8"), variant<16, 16, false, 2>("16, 16, 2")};
  for (const std::size_t tile : {8192, 16384, 24576, 49152})
    for (const auto& v : plain) measure(data, v, tile);
  const Variant moved[] = {
      variant<16, 8, true, 2>("displacement: 16, 8, 2"), variant<16, 8, true, 3>("displacement: 16, 8, 3"),
      variant<32, 8, true, 2>("displacement: 32, 8, 2"), variant<16, 4, true, 6>("displacement: 16, 4, 6")};
  for (const std::size_t tile : {8192, 16384, 49152})
    for (const auto& v : moved) measure(data, v, tile);
}

}  // namespace
}  // namespace weightscope::bench

int main() { weightscope::bench::all(); }

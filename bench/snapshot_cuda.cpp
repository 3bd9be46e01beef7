// Measures the 36 Q, K and V matrices of GPT-2 124M, head by head, in GPU memory, on request: what a snapshot
// costs from its start until the host has the numbers, for bench/gpu.py.
#include <cuda_runtime.h>

#include <CLI/CLI.hpp>

#include "bench/head_slices.hpp"
#include "bench/protocol.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "monitor/measure.hpp"

namespace weightscope::bench {
namespace {

void check(cudaError_t status) {
  require(status == cudaSuccess, Fault::internal, std::string("CUDA: ") + cudaGetErrorString(status));
}

/// More bytes than the caches of a GPU hold are written before each measurement.
constexpr std::size_t kCaches = std::size_t{256} << 20;

void serve() {
  const auto weights = random_heads(1);
  float* on_device = nullptr;
  void* scratch = nullptr;
  check(cudaMalloc(reinterpret_cast<void**>(&on_device), weights.size() * sizeof(float)));
  check(cudaMalloc(&scratch, kCaches));
  check(cudaMemcpy(on_device, weights.data(), weights.size() * sizeof(float), cudaMemcpyHostToDevice));
  auto slices = head_slices(on_device, nullptr);
  for (auto& s : slices) s.weights.place = Place::cuda;
  std::size_t counted = measure(slices).size();
  say_ready();
  for (int count = next_request(); count > 0; count = next_request())
    for (int i = 0; i < count; ++i) {
      check(cudaMemset(scratch, i, kCaches));
      check(cudaDeviceSynchronize());
      const Stopwatch watch;
      counted += measure(slices).size();
      say_seconds(watch.seconds());
    }
  std::fprintf(stderr, "%zu slices measured\n", counted);
}

}  // namespace
}  // namespace weightscope::bench

int main(int argc, char** argv) {
  using namespace weightscope;
  CLI::App app("Snapshots of weights in GPU memory on request");
  CLI11_PARSE(app, argc, argv);
  try {
    bench::serve();
  } catch (const std::exception& error) {
    log_error(error.what());
    return 1;
  }
  return 0;
}

// Measures the 36 Q, K and V matrices of GPT-2 124M, head by head, in GPU memory, on request, for
// bench/gpu.py: from the start of a snapshot until the host has the numbers, or only as long as the host is
// held up.
#include <cuda_runtime.h>

#include <CLI/CLI.hpp>

#include "bench/head_slices.hpp"
#include "bench/protocol.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "monitor/device_meter.hpp"

namespace weightscope::bench {
namespace {

struct Arguments {
  bool displacement = false, start = false;
};

void check(cudaError_t status) {
  require(status == cudaSuccess, Fault::internal, std::string("CUDA: ") + cudaGetErrorString(status));
}

/// More bytes than the caches of a GPU hold are written before each measurement.
constexpr std::size_t kCaches = std::size_t{256} << 20;

void serve(const Arguments& arguments) {
  const auto weights = random_heads(1), initial = random_heads(2);
  float* on_device = nullptr;
  void* scratch = nullptr;
  check(cudaMalloc(reinterpret_cast<void**>(&on_device), weights.size() * sizeof(float)));
  check(cudaMalloc(&scratch, kCaches));
  check(cudaMemcpy(on_device, weights.data(), weights.size() * sizeof(float), cudaMemcpyHostToDevice));
  auto slices = head_slices(on_device, arguments.displacement ? initial.data() : nullptr);
  for (auto& s : slices) s.weights.place = Place::cuda;
  DeviceMeter meter(slices);
  std::size_t counted = 0;
  const auto once = [&] {
    check(cudaMemset(scratch, 0, kCaches));
    check(cudaDeviceSynchronize());
    const Stopwatch watch;
    meter.start();
    const double started = watch.seconds();
    counted += meter.finish().size();
    return arguments.start ? started : watch.seconds();
  };
  for (int i = 0; i < 3; ++i) once();
  answer_requests(once);
  std::fprintf(stderr, "%zu slices measured\n", counted);
}

}  // namespace
}  // namespace weightscope::bench

int main(int argc, char** argv) {
  using namespace weightscope;
  CLI::App app("Snapshots of weights in GPU memory on request");
  bench::Arguments arguments;
  app.add_flag("--displacement", arguments.displacement, "compare with initial weights in the same pass");
  app.add_flag("--start", arguments.start, "time what the host takes to start a snapshot, not the whole");
  CLI11_PARSE(app, argc, argv);
  try {
    bench::serve(arguments);
  } catch (const std::exception& error) {
    log_error(error.what());
    return 1;
  }
  return 0;
}

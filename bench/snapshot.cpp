// Measures the 36 Q, K and V matrices of GPT-2 124M, head by head, on request: weightscope's side of
// bench/snapshot.py. What a training run does at a snapshot, without gathering and writing.
#include <CLI/CLI.hpp>
#include <random>
#include <vector>

#include "bench/protocol.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "monitor/measure.hpp"

namespace weightscope::bench {
namespace {

constexpr int kLayers = 12, kHeads = 12;
constexpr std::size_t kWidth = 768, kHeadNumbers = kWidth * kWidth / kHeads;

struct Arguments {
  int threads = 2;
  bool cold = false, displacement = false;
};

/// [layer][q, k, v][head] one after the other, N(0, 0.02²).
std::vector<float> random_weights(unsigned seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal(0.0F, 0.02F);
  std::vector<float> weights(std::size_t{kLayers} * 3 * kHeads * kHeadNumbers);
  for (auto& w : weights) w = normal(generator);
  return weights;
}

std::vector<WeightSlice> head_slices(std::vector<float>& weights, const float* initial) {
  std::vector<WeightSlice> slices;
  for (int i = 0; i < kLayers * 3 * kHeads; ++i) {
    const auto at = static_cast<std::size_t>(i) * kHeadNumbers;
    WeightSlice slice;
    slice.layer = i / (3 * kHeads), slice.head = i % kHeads;
    slice.component =
        std::array{Component::q, Component::k, Component::v}[static_cast<std::size_t>(i) / kHeads % 3];
    slice.parameter = "h." + std::to_string(slice.layer) + ".attn.c_attn.weight";
    slice.parameter_index = slice.layer;
    slice.weights.data = weights.data() + at, slice.weights.count = kHeadNumbers;
    slice.initial = initial == nullptr ? nullptr : initial + at;
    slices.push_back(slice);
  }
  return slices;
}

/// Writes more memory than the caches hold, as bench/peers/snapshot_peer.py does.
void evict_caches(std::vector<char>& scratch) {
  for (std::size_t i = 0; i < scratch.size(); i += 64) scratch[i] = static_cast<char>(scratch[i] + 1);
}

void serve(const Arguments& arguments) {
  auto weights = random_weights(1);
  const auto initial = arguments.displacement ? random_weights(2) : std::vector<float>{};
  const auto slices = head_slices(weights, arguments.displacement ? initial.data() : nullptr);
  std::vector<char> scratch(arguments.cold ? std::size_t{768} << 20 : 0);
  std::size_t counted = measure(slices, arguments.threads).size();
  say_ready();
  for (int count = next_request(); count > 0; count = next_request()) {
    counted += measure(slices, arguments.threads).size();  // not timed: the threads wake, the caches fill
    for (int i = 0; i < count; ++i) {
      evict_caches(scratch);
      const Stopwatch watch;
      const auto measured = measure(slices, arguments.threads);
      const double seconds = watch.seconds();
      counted += measured.size();
      say_seconds(seconds);
    }
  }
  std::fprintf(stderr, "%zu slices measured\n", counted);
}

}  // namespace
}  // namespace weightscope::bench

int main(int argc, char** argv) {
  using namespace weightscope;
  CLI::App app("Snapshots on request");
  bench::Arguments arguments;
  app.add_option("--threads", arguments.threads);
  app.add_flag("--cold", arguments.cold, "empty the caches before each");
  app.add_flag("--displacement", arguments.displacement, "compare with initial weights in the same pass");
  CLI11_PARSE(app, argc, argv);
  try {
    bench::serve(arguments);
  } catch (const std::exception& error) {
    log_error(error.what());
    return 1;
  }
  return 0;
}

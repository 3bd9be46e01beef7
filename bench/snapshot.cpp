// Measures the 36 Q, K and V matrices of GPT-2 124M, head by head, on request: weightscope's side of
// bench/snapshot.py. What a training run does at a snapshot, without gathering and writing.
#include <CLI/CLI.hpp>
#include <optional>
#include <span>
#include <vector>

#include "bench/head_slices.hpp"
#include "bench/protocol.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "monitor/measure.hpp"
#include "monitor/norm_budget.hpp"
#include "monitor/scaled.hpp"

namespace weightscope::bench {
namespace {

struct Arguments {
  int threads = 2;
  bool cold = false, displacement = false, gradients = false;
};

/// Writes more memory than the caches hold, as bench/peers/snapshot_peer.py does.
void evict_caches(std::vector<char>& scratch) {
  for (std::size_t i = 0; i < scratch.size(); i += 64) scratch[i] = static_cast<char>(scratch[i] + 1);
}

/// What monitor.gradients measures besides; not the copy of the weights that it keeps before the update.
struct LastUpdate {
  std::vector<float> gradient, before, exp_avg, exp_avg_sq;

  LastUpdate() : gradient(random_heads(3)), before(random_heads(4)), exp_avg(random_heads(5)) {
    exp_avg_sq = exp_avg;
    for (auto& v : exp_avg_sq) v *= v;
  }
  std::size_t measure(std::span<const WeightSlice> weights, int threads) {
    const auto slices = head_slices(gradient.data(), nullptr);
    auto counted = measure_scaled(slices, threads).size();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const auto& slice = weights[i];
      const auto at = i * kHeadNumbers;
      const auto budget =
          norm_budget(Updated<float>{&before[at], static_cast<const float*>(slice.weights.data), &exp_avg[at],
                                     &exp_avg_sq[at], slice.weights.count},
                      {1e-3, 0.1, 0.9, 0.95, 1e-8, 100});
      if (budget.residual() == 0) ++counted;  // so that it is not optimized away
    }
    return counted;
  }
};

void serve(const Arguments& arguments) {
  auto weights = random_heads(1);
  const auto initial = arguments.displacement ? random_heads(2) : std::vector<float>{};
  const auto slices = head_slices(weights.data(), arguments.displacement ? initial.data() : nullptr);
  std::optional<LastUpdate> update;
  if (arguments.gradients) update.emplace();
  const auto snapshot = [&] {
    const auto measured = measure(slices, arguments.threads).size();
    return measured + (update ? update->measure(slices, arguments.threads) : 0);
  };
  std::vector<char> scratch(arguments.cold ? std::size_t{768} << 20 : 0);
  std::size_t counted = snapshot();
  say_ready();
  for (int count = next_request(); count > 0; count = next_request()) {
    counted += snapshot();  // not timed: the threads wake, the caches fill
    for (int i = 0; i < count; ++i) {
      evict_caches(scratch);
      const Stopwatch watch;
      const auto measured = snapshot();
      const double seconds = watch.seconds();
      counted += measured;
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
  app.add_flag("--gradients", arguments.gradients, "gradient and budget of the last update too");
  CLI11_PARSE(app, argc, argv);
  try {
    bench::serve(arguments);
  } catch (const std::exception& error) {
    log_error(error.what());
    return 1;
  }
  return 0;
}

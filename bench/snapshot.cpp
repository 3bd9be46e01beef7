// Measures the 36 Q, K and V matrices of GPT-2 124M, head by head, on request: weightscope's side of
// bench/snapshot.py. What a training run does at a snapshot, without gathering and writing.
#include <CLI/CLI.hpp>
#include <vector>

#include "bench/head_slices.hpp"
#include "bench/protocol.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "monitor/measure.hpp"

namespace weightscope::bench {
namespace {

struct Arguments {
  int threads = 2;
  bool cold = false, displacement = false;
};

/// Writes more memory than the caches hold, as bench/peers/snapshot_peer.py does.
void evict_caches(std::vector<char>& scratch) {
  for (std::size_t i = 0; i < scratch.size(); i += 64) scratch[i] = static_cast<char>(scratch[i] + 1);
}

void serve(const Arguments& arguments) {
  auto weights = random_heads(1);
  const auto initial = arguments.displacement ? random_heads(2) : std::vector<float>{};
  const auto slices = head_slices(weights.data(), arguments.displacement ? initial.data() : nullptr);
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

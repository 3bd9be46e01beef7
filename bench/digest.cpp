// Hashes the state of GPT-2 124M on request, as a comparison of replicas does: weightscope's side of
// bench/reliability.py. Gathering 8 bytes a tensor on rank 0 is not in it.
#include <CLI/CLI.hpp>
#include <vector>

#include "bench/protocol.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "monitor/digest.hpp"

namespace weightscope::bench {
namespace {

constexpr std::size_t kWidth = 768, kBlock = 12 * kWidth * kWidth;

/// wte and the blocks of 12 layers, `arrays` times (weights, and both moments where ranks hold all of them).
std::vector<std::size_t> sizes(int arrays) {
  std::vector<std::size_t> all;
  for (int i = 0; i < arrays; ++i) {
    all.push_back(50257 * kWidth);
    for (int layer = 0; layer < 12; ++layer) all.push_back(kBlock);
  }
  return all;
}

void serve(int arrays, int threads) {
  std::vector<std::vector<float>> tensors;
  std::vector<WeightSlice> slices;
  for (const auto size : sizes(arrays)) {
    auto& tensor = tensors.emplace_back(size);
    for (std::size_t i = 0; i < size; ++i) tensor[i] = static_cast<float>(i % 1013) * 1e-4F;
    WeightSlice slice;
    slice.weights.data = tensor.data(), slice.weights.count = size;
    slices.push_back(slice);
  }
  std::uint64_t sum = 0;
  answer_requests([&] {
    const Stopwatch watch;
    for (const auto digest : digests(slices, threads)) sum += digest;
    return watch.seconds();
  });
  std::fprintf(stderr, "%llx\n", static_cast<unsigned long long>(sum));
}

}  // namespace
}  // namespace weightscope::bench

int main(int argc, char** argv) {
  using namespace weightscope;
  CLI::App app("Digests on request");
  int arrays = 1, threads = 1;
  app.add_option("--arrays", arrays, "1: weights, 3: moments too");
  app.add_option("--threads", threads);
  CLI11_PARSE(app, argc, argv);
  try {
    bench::serve(arrays, threads);
  } catch (const std::exception& error) {
    log_error(error.what());
    return 1;
  }
  return 0;
}

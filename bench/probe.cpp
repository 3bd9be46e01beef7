// Probes one block of 1024 tokens through GPT-2 124M on request, or only runs its forward pass, or takes the
// spectra of all its matrices: what bench/snapshot.py reports as the cost of a probe and of spectra. Weights
// and tokens are random.
#include <ATen/Parallel.h>
#include <omp.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "bench/protocol.hpp"
#include "core/log.hpp"
#include "model/initialize.hpp"
#include "train/probe.hpp"
#include "train/spectra.hpp"
#include "train/train_step.hpp"

namespace weightscope::bench {
namespace {

struct Arguments {
  int threads = 2;
  bool forward = false, spectra = false;
};

/// llm.c's format; gone when the mapping of it is.
TokenFile random_tokens(std::int64_t count, int vocab) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("weightscope-bench-probe-" + std::to_string(::getpid()) + ".bin");
  const Philox rng(1, "tokens");
  std::vector<std::uint16_t> tokens;
  for (std::int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<std::uint16_t>(rng.uniform(static_cast<std::uint64_t>(i)) * vocab));
  const std::int32_t header[256] = {20240520, 1, static_cast<std::int32_t>(count)};
  {
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(header), sizeof header);
    out.write(reinterpret_cast<const char*>(tokens.data()), static_cast<std::streamsize>(2 * tokens.size()));
  }
  auto file = TokenFile::open(path);
  std::filesystem::remove(path);
  return file;
}

void serve(const Arguments& arguments, const HostComm& host) {
  omp_set_num_threads(arguments.threads);
  at::set_num_threads(arguments.threads);
  RunConfig config;
  const std::int64_t T = config.model.block;
  const ParamStore store(config.model, types_of(config.train.precision), {}, 1);
  initialize(store, plan_initialization(config, store.parameters()), config.seed);
  Gpt gpt(config.model, store, T, Purpose::training, false);
  const auto file = random_tokens(T + 1, config.model.vocab);
  const std::vector<std::int64_t> tokens(file.tokens().begin(), file.tokens().begin() + T);
  MicroBatch batch;
  batch.tokens_R = batch.targets_R = to_device(tokens, 0, 1, T, store.place());
  batch.T = T;
  const auto once = [&] {
    const Stopwatch watch;
    if (arguments.spectra)
      (void)spectra(host, store, config.model);
    else if (arguments.forward)
      gpt.forward(batch);
    else
      (void)probe(host, gpt, store, file, 1);
    return watch.seconds();
  };
  once();
  answer_requests(once);
}

}  // namespace
}  // namespace weightscope::bench

int main(int argc, char** argv) {
  using namespace weightscope;
  CLI::App app("Probes on request");
  bench::Arguments arguments;
  app.add_option("--threads", arguments.threads);
  app.add_flag("--forward", arguments.forward, "the forward pass alone");
  app.add_flag("--spectra", arguments.spectra, "spectra of all matrices instead");
  CLI11_PARSE(app, argc, argv);
  const MpiScope mpi(&argc, &argv);
  try {
    bench::serve(arguments, HostComm::world());
  } catch (const std::exception& error) {
    log_error(error.what());
    MpiScope::abort(1);
  }
}

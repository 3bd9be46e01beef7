// What it costs that gradients are exchanged: sum over the ranks, norm, clip and AdamW of GPT-2 124M through
// shared memory and through messages, beside the bare AdamW of this rank's share of the parameters. Run under
// mpirun; the three take turns. Prints a Markdown table, or one JSON object with --json.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

#include "bench/protocol.hpp"
#include "core/log.hpp"
#include "ops/ops.hpp"
#include "train/exchange.hpp"
#include "train/optimizer.hpp"

namespace weightscope::bench {
namespace {

/// One way to get from local gradients to updated weights.
class Contender {
 public:
  Contender(const RunConfig& config, const HostComm& host, SharedMemory memory)
      : config_(configured(config, memory)),
        comm_(TensorComm::make(host, Place::host, 0, config_.parallel.timeout_s)),
        node_(NodeBuffers::make(config_, {}, host, host.node())),
        store_(node_ ? ParamStore(config_.model, types(), node_->mine())
                     : ParamStore(config_.model, types(), {}, host.size())),
        exchange_(config_.parallel, store_, comm_, host, node_.get(), 1),
        optimizer_(config_.optimizer, store_, exchange_.shard()) {
    at::Tensor(store_.grad()).fill_(1e-3);
    at::Tensor(store_.master()).fill_(0.02);
  }
  Contender(const Contender&) = delete;

  double step() {
    const Stopwatch watch;
    exchange_.begin_step();
    exchange_.ready(0, store_.size());
    exchange_.end_micro_batch(0);
    exchange_.finish();
    const double norm = exchange_.gradient_norm();
    optimizer_.update(++done_, 1e-4, std::min(1.0, 1 / norm), exchange_.reduced(), false);
    exchange_.share_updated_weights();
    return watch.seconds();
  }
  const ParamStore& store() const { return store_; }

 private:
  static RunConfig configured(RunConfig config, SharedMemory memory) {
    config.parallel.shared_memory = memory;
    return config;
  }
  Types types() const { return types_of(config_.train.precision); }

  RunConfig config_;
  TensorComm comm_;
  std::unique_ptr<NodeBuffers> node_;
  ParamStore store_;
  GradientExchange exchange_;
  Optimizer optimizer_;
  std::int64_t done_ = 0;
};

/// Norm and AdamW of a share of the parameters in private memory: nothing is exchanged.
class Bare {
 public:
  Bare(const RunConfig& config, const ParamStore& store, std::int64_t share)
      : store_(&store), share_(share), optimizer_(config.optimizer, store, {0, share}) {}
  double step() {
    const Stopwatch watch;
    const double norm = std::sqrt(ops::sum_of_squares(store_->grad().narrow(0, 0, share_)).item<double>());
    optimizer_.update(++done_, 1e-4, std::min(1.0, 1 / norm), store_->grad(), false);
    return watch.seconds();
  }

 private:
  const ParamStore* store_;
  std::int64_t share_;
  Optimizer optimizer_;
  std::int64_t done_ = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Arguments {
  Precision precision = Precision::fp32;
  int threads = 1, rounds = 15;
  bool json = false;
};

void measure(const Arguments& a, const HostComm& host) {
  omp_set_num_threads(a.threads);
  at::set_num_threads(a.threads);
  RunConfig config;
  config.train.precision = a.precision;
  Contender shared(config, host, SharedMemory::automatic), messages(config, host, SharedMemory::off);
  Bare bare(config, messages.store(), messages.store().size() / host.size());
  const std::array<const char*, 3> names{"bare AdamW of 1/P of the parameters", "shared memory",
                                         "messages (MPI_Allreduce)"};
  std::array<std::vector<double>, 3> seconds;
  for (int round = -2; round < a.rounds; ++round)
    for (std::size_t turn = 0; turn < 3; ++turn) {
      const std::size_t who = (turn + static_cast<std::size_t>(round + 2)) % 3;
      host.barrier();
      const double mine = who == 0 ? bare.step() : who == 1 ? shared.step() : messages.step();
      const double slowest = host.max(mine);
      if (round >= 0) seconds[who].push_back(slowest);
    }
  if (!host.is_root()) return;
  std::vector<double> ratios[3];
  for (std::size_t who = 0; who < 3; ++who)
    for (std::size_t i = 0; i < seconds[who].size(); ++i)
      ratios[who].push_back(seconds[who][i] / seconds[0][i]);
  const char* precision = a.precision == Precision::bf16 ? "bf16 copy" : "fp32";
  for (std::size_t who = 0; who < 3; ++who) {
    const double ms = 1e3 * median(seconds[who]), ratio = median(ratios[who]);
    if (a.json)
      std::printf(
          "{\"name\": \"%s\", \"weights\": \"%s\", \"ranks\": %d, \"threads\": %d, \"ms\": %.2f, \"ratio\": "
          "%.3f}\n",
          names[who], precision, host.size(), a.threads, ms, ratio);
    else
      std::printf("| %s | %s | %d × %d | %.1f | %.2f× |\n", names[who], precision, host.size(), a.threads, ms,
                  ratio);
  }
}

}  // namespace
}  // namespace weightscope::bench

int main(int argc, char** argv) {
  using namespace weightscope;
  CLI::App app("Gradient exchange and update of GPT-2 124M, three ways");
  bench::Arguments arguments;
  bool bf16 = false;
  app.add_flag("--bf16", bf16, "keep a bf16 working copy of the weights");
  app.add_option("--threads", arguments.threads, "per rank");
  app.add_option("--rounds", arguments.rounds);
  app.add_flag("--json", arguments.json);
  CLI11_PARSE(app, argc, argv);
  if (bf16) arguments.precision = Precision::bf16;
  const MpiScope mpi(&argc, &argv);
  try {
    bench::measure(arguments, HostComm::world());
  } catch (const std::exception& error) {
    log_error(error.what());
    MpiScope::abort(1);
  }
}

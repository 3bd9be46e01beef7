// Runs training steps on request and prints what each took: weightscope's side of bench/train.py.
// The parts are put together as the constructor of Trainer does it (src/train/setup.cpp); tokens are random.
#include <ATen/Parallel.h>
#include <mpi.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <random>
#include <thread>

#include "bench/protocol.hpp"
#include "core/log.hpp"
#include "model/initialize.hpp"
#include "train/gemm_tuner.hpp"
#include "train/train_step.hpp"

namespace weightscope::bench {
namespace {

struct Arguments {
  ModelConfig model;
  std::int64_t batch = 16, micro = 0;
  Precision precision = Precision::fp32;
  int threads = 1, warmup = 2;
};

Arguments parse(CLI::App& app, int argc, char** argv) {
  Arguments a;
  app.add_option("--layers", a.model.layers);
  app.add_option("--heads", a.model.heads);
  app.add_option("--width", a.model.width);
  app.add_option("--vocab", a.model.vocab);
  app.add_option("--block", a.model.block);
  app.add_option("--batch", a.batch, "sequences per step, over all ranks");
  app.add_option("--micro", a.micro, "sequences per micro-batch; 0: all that a rank has");
  app.add_option("--precision", a.precision)
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Precision>{{"fp32", Precision::fp32}, {"bf16", Precision::bf16}}));
  app.add_option("--threads", a.threads, "per rank");
  app.add_option("--warmup", a.warmup, "steps before READY");
  app.parse(argc, argv);
  return a;
}

RunConfig configure(const Arguments& a, int ranks) {
  require(a.batch % ranks == 0, Fault::config,
          "--batch is not a multiple of the ranks (each takes the same share); change one of them");
  RunConfig config;
  config.model = a.model;
  config.train.global_batch = a.batch;
  config.train.micro_batch = a.micro > 0 ? a.micro : a.batch / ranks;
  config.train.precision = a.precision;
  config.train.device = Device::cpu;
  config.schedule.name = ScheduleName::constant;
  config.optimizer.lr = 3e-4;
  return config;
}

/// Next-token pairs of random text; a few batches, taken in turn.
std::vector<Batch> random_batches(const RunConfig& config, int rank, int ranks) {
  std::mt19937_64 generator(1 + static_cast<std::uint64_t>(rank));
  std::uniform_int_distribution<std::int64_t> token(0, config.model.vocab - 1);
  const auto rows = config.train.global_batch / ranks, block = std::int64_t{config.model.block};
  std::vector<Batch> batches(8);
  for (auto& batch : batches)
    for (std::int64_t row = 0; row < rows; ++row) {
      std::vector<std::int64_t> text(static_cast<std::size_t>(block) + 1);
      for (auto& t : text) t = token(generator);
      batch.tokens.insert(batch.tokens.end(), text.begin(), text.end() - 1);
      batch.targets.insert(batch.targets.end(), text.begin() + 1, text.end());
    }
  return batches;
}

/// A model in training, CPU only.
class Run {
 public:
  Run(const RunConfig& config, const HostComm& host)
      : config_(config),
        host_(&host),
        comm_(TensorComm::make(host, Place::host, 0, config_.parallel.timeout_s)),
        node_(NodeBuffers::make(config_, {}, host, host.node())),
        store_(node_ ? ParamStore(config_.model, types_of(config_.train.precision), node_->mine())
                     : ParamStore(config_.model, types_of(config_.train.precision), {}, host.size())),
        gpt_(config_.model, store_, config_.train.micro_batch * config_.model.block, Purpose::training,
             config_.train.recompute),
        exchange_(config_.parallel, store_, comm_, host, node_.get(),
                  config_.train.global_batch / host.size() / config_.train.micro_batch),
        optimizer_(config_.optimizer, store_, exchange_.shard()),
        step_(config_, host, gpt_, store_, exchange_, optimizer_),
        batches_(random_batches(config_, host.rank(), host.size())) {
    if (host.is_root()) initialize(store_, plan_initialization(config_, store_.parameters()), config_.seed);
    exchange_.broadcast_weights();
    gpt_.use(choose_gemms(config_, {}, host, {}));
  }
  Run(const Run&) = delete;

  /// One update; seconds as this rank sees them.
  double step() {
    const Stopwatch watch;
    const auto result = step_.run(done_, batches_[static_cast<std::size_t>(done_) % batches_.size()], false);
    ++done_;
    const double seconds = watch.seconds();
    require(std::isfinite(result.loss), Fault::numeric, "the loss is not finite; the timing means nothing");
    loss_ = result.loss;
    return seconds;
  }
  double loss() const { return loss_; }

 private:
  RunConfig config_;
  const HostComm* host_;
  TensorComm comm_;
  std::unique_ptr<NodeBuffers> node_;
  ParamStore store_;
  Gpt gpt_;
  GradientExchange exchange_;
  Optimizer optimizer_;
  TrainStep step_;
  std::vector<Batch> batches_;
  std::int64_t done_ = 0;
  double loss_ = 0;
};

/// The request that rank 0 read, on all ranks. Ranks that wait sleep: another worker is being timed now, and
/// MPI_Bcast would keep a core busy.
int share_request(const HostComm& host) {
  int count = host.is_root() ? next_request() : 0;
  MPI_Request request{};
  MPI_Ibcast(&count, 1, MPI_INT, 0, MPI_COMM_WORLD, &request);
  for (int arrived = 0;;) {
    MPI_Test(&request, &arrived, MPI_STATUS_IGNORE);
    if (arrived != 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  host.barrier();
  return count;
}

void serve(const Arguments& arguments, const HostComm& host) {
  omp_set_num_threads(arguments.threads);
  at::set_num_threads(arguments.threads);
  Run run(configure(arguments, host.size()), host);
  for (int i = 0; i < arguments.warmup; ++i) run.step();
  if (host.is_root()) say_ready();
  for (int count = share_request(host); count > 0; count = share_request(host))
    for (int i = 0; i < count; ++i) {
      const double seconds = run.step();
      if (host.is_root()) say_seconds(seconds);
    }
  if (host.is_root()) std::fprintf(stderr, "last loss %.4f\n", run.loss());
}

}  // namespace
}  // namespace weightscope::bench

int main(int argc, char** argv) {
  using namespace weightscope;
  CLI::App app("Training steps on request");
  bench::Arguments arguments;
  try {
    arguments = bench::parse(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  const MpiScope mpi(&argc, &argv);
  try {
    bench::serve(arguments, HostComm::world());
  } catch (const std::exception& error) {
    log_error(error.what());
    MpiScope::abort(1);
  }
}

// Runs training steps on request and prints what each took: weightscope's side of bench/train.py.
// The parts are put together as the constructor of Trainer does it (src/train/setup.cpp); tokens are random.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <mpi.h>
#include <omp.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <random>
#include <thread>

#include "bench/protocol.hpp"
#include "core/log.hpp"
#include "model/device.hpp"
#include "model/initialize.hpp"
#include "model/slices.hpp"
#include "monitor/device_meter.hpp"
#include "train/gemm_tuner.hpp"
#include "train/trainer.hpp"

namespace weightscope::bench {
namespace {

struct Arguments {
  ModelConfig model;
  std::int64_t batch = 16, micro = 0;
  Precision precision = Precision::fp32;
  Device device = Device::cpu;
  bool recompute = false, snapshots = false;
  int threads = 1, warmup = 4;
  std::string trace;
};

Arguments parse(CLI::App& app, int argc, char** argv) {
  Arguments a;
  app.add_option("--layers", a.model.layers);
  app.add_option("--heads", a.model.heads);
  app.add_option("--width", a.model.width);
  app.add_option("--vocab", a.model.vocab);
  app.add_option("--block", a.model.block);
  app.add_option("--dropout", a.model.dropout);
  app.add_option("--batch", a.batch, "sequences per step, over all ranks");
  app.add_option("--micro", a.micro, "sequences per micro-batch; 0: all that a rank has");
  app.add_option("--precision", a.precision)
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Precision>{{"fp32", Precision::fp32}, {"bf16", Precision::bf16}}));
  app.add_option("--device", a.device)
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Device>{{"cpu", Device::cpu}, {"cuda", Device::cuda}}));
  app.add_flag("--recompute", a.recompute, "activations of a block are computed again in its backward pass");
  app.add_flag("--snapshots", a.snapshots, "on a GPU: all weights are measured after every step");
  app.add_option("--threads", a.threads, "per rank");
  app.add_option("--warmup", a.warmup, "steps before READY");
  app.add_option("--trace", a.trace, "write a Chrome trace of three steps here and leave (GPU)");
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
  config.train.device = a.device;
  config.train.recompute = a.recompute;
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

/// initialize() draws on the host, which takes a minute at 1.5B parameters; a GPU draws weights of that size
/// at once.
void draw_weights(const RunConfig& config, const ParamStore& store) {
  if (store.place().place == Place::host)
    return initialize(store, plan_initialization(config, store.parameters()), config.seed);
  for (const auto& p : store.parameters()) {
    const auto weights = ParamStore::view(store.master(), p);
    if (p.kind == ParameterKind::norm_weight)
      weights.fill_(1);
    else
      weights.normal_(0, 0.02);
  }
  store.refresh_work();
}

/// A model in training.
class Run {
 public:
  Run(const RunConfig& config, const HostComm& host, bool snapshots)
      : config_(config),
        place_(choose_place(config_, host)),
        comm_(TensorComm::make(host, place_.place, place_.index, config_.parallel.timeout_s)),
        node_(NodeBuffers::make(config_, place_, host, host.node())),
        store_(node_ ? ParamStore(config_.model, types_of(config_.train.precision), node_->mine())
                     : ParamStore(config_.model, types_of(config_.train.precision), place_, host.size())),
        gpt_(config_.model, store_, config_.train.micro_batch * config_.model.block, Purpose::training,
             config_.train.recompute),
        exchange_(config_.parallel, store_, comm_, host, node_.get(),
                  config_.train.global_batch / host.size() / config_.train.micro_batch),
        optimizer_(config_.optimizer, store_, exchange_.shard()),
        step_(config_, host, gpt_, store_, exchange_, optimizer_),
        batches_(random_batches(config_, host.rank(), host.size())) {
    if (host.is_root()) draw_weights(config_, store_);
    exchange_.broadcast_weights();
    gpt_.use(choose_gemms(config_, place_, host, {}));
    if (snapshots && on_gpu()) meter_.emplace(weight_slices(store_, config_.model, nullptr), 4);
  }
  Run(const Run&) = delete;

  /// Seconds of each of `count` updates, as this rank sees them. On a GPU the host works ahead of the device
  /// and waits for it at the end alone, so that every update gets an equal share of the whole; one update
  /// before them is not timed.
  std::vector<double> steps(int count) {
    std::vector<double> seconds;
    if (on_gpu()) update(), finish(), synchronize(place_.index);
    const Stopwatch whole;
    for (int i = 0; i < count; ++i) {
      const Stopwatch watch;
      update();
      seconds.push_back(watch.seconds());
    }
    if (on_gpu()) {
      finish();
      synchronize(place_.index);
      seconds.assign(seconds.size(), whole.seconds() / count);
    }
    require(std::isfinite(loss_), Fault::numeric, "the loss is not finite; the timing means nothing");
    return seconds;
  }
  double loss() const { return loss_; }

  /// The most that tensors took of the device's memory; 0 on the CPU.
  std::int64_t peak_device_bytes() const {
    if (!on_gpu()) return 0;
    const auto stats =
        c10::getDeviceAllocator(c10::kCUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(place_.index));
    return stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
  }

 private:
  bool on_gpu() const { return place_.place == Place::cuda; }
  void update() {
    const auto& batch = batches_[static_cast<std::size_t>(done_) % batches_.size()];
    // The whole step waits until the weights are read, though only its update has to: an upper bound.
    if (meter_) meter_->wait_before_writing(current_stream(place_.index));
    step_.begin(done_, batch, false);
    if (meter_) measure();
    finish();  // the update before, as Trainer does it
    begun_ = done_++;
    if (!step_.overlaps()) finish();
  }
  void finish() {
    if (begun_) loss_ = step_.end(*begun_).loss;
    begun_.reset();
  }
  void measure() {
    if (meter_->under_way() > 3) measured_ += meter_->finish().size();
    meter_->start();
  }

  RunConfig config_;
  DevicePlace place_;
  TensorComm comm_;
  std::unique_ptr<NodeBuffers> node_;
  ParamStore store_;
  Gpt gpt_;
  GradientExchange exchange_;
  Optimizer optimizer_;
  TrainStep step_;
  std::vector<Batch> batches_;
  std::optional<DeviceMeter> meter_;
  std::size_t measured_ = 0;
  std::int64_t done_ = 0;
  std::optional<std::int64_t> begun_;
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

/// Of LibTorch's profiler: every kernel with its time, to look at in Perfetto or chrome://tracing.
void write_trace(Run& run, const std::string& file) {
  using torch::profiler::impl::ActivityType;
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  const std::set<ActivityType> activities{ActivityType::CUDA};
  torch::autograd::profiler::prepareProfiler(config, activities);
  torch::autograd::profiler::enableProfiler(config, activities);
  run.steps(2);  // and one before them
  torch::autograd::profiler::disableProfiler()->save(file);
}

void serve(const Arguments& arguments, const HostComm& host) {
  omp_set_num_threads(arguments.threads);
  at::set_num_threads(arguments.threads);
  Run run(configure(arguments, host.size()), host, arguments.snapshots);
  run.steps(arguments.warmup);
  if (!arguments.trace.empty()) return write_trace(run, arguments.trace);
  if (host.is_root()) say_ready();
  for (int count = share_request(host); count > 0; count = share_request(host))
    for (const double seconds : run.steps(count))
      if (host.is_root()) say_seconds(seconds);
  if (!host.is_root()) return;
  say_peak(run.peak_device_bytes());
  std::fprintf(stderr, "last loss %.4f\n", run.loss());
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

// The constructor of Trainer: everything that happens before the first step.
#include <ATen/ATen.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "config/config.hpp"
#include "core/build_info.hpp"
#include "core/fault_point.hpp"
#include "core/file_io.hpp"
#include "core/log.hpp"
#include "core/mapped_file.hpp"
#include "model/device.hpp"
#include "model/memory_plan.hpp"
#include "model/slices.hpp"
#include "model/weights_io.hpp"
#include "ops/cpu/kernels.hpp"
#include "ops/ops.hpp"
#include "store/preflight.hpp"
#include "train/gemm_tuner.hpp"
#include "train/memory_use.hpp"
#include "train/registered_buffers.hpp"
#include "train/trainer.hpp"

namespace weightscope {
namespace {

SnapshotShape shape_of(const RunConfig& config, const ParamStore& store) {
  return {config.model.layers, config.model.heads, static_cast<int>(store.parameters().size())};
}

/// meta.json beside the tokens: a checkpoint carries its tokenizer's name.
std::string tokenizer_meta(const std::string& train_file) {
  const auto path = std::filesystem::path(train_file).parent_path() / "meta.json";
  return is_there(path) ? read_json_text(path, Fault::data) : "";
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Names of the machines in the order of their first ranks, on rank 0. Collective.
std::string machines(const HostComm& host) {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  std::vector<std::string> distinct;
  for (auto& machine : host.gather(std::string(name)))
    if (std::find(distinct.begin(), distinct.end(), machine) == distinct.end()) distinct.push_back(machine);
  std::string text;
  for (const auto& machine : distinct) text += (text.empty() ? "" : ", ") + machine;
  return text;
}

}  // namespace

DevicePlace choose_place(const RunConfig& config, const HostComm& host) {
  const int devices = cuda_devices();
  const bool wanted = config.train.device == Device::cuda || config.parallel.backend == BackendChoice::nccl;
  require(!wanted || devices > 0, Fault::config,
          "train.device = cuda (or parallel.backend = nccl) needs a GPU, and this process sees none; "
          "weightscope doctor says why");
  const bool cuda = wanted || (config.train.device == Device::automatic &&
                               config.parallel.backend == BackendChoice::automatic && devices > 0);
  if (!cuda) return {};
  const DevicePlace place{Place::cuda, host.local_rank() % devices};
  select_device(place.index);
  return place;
}

Trainer::Trainer(const RunConfig& config, const HostComm& host, const TrainerOptions& options)
    : config_(config),
      host_(&host),
      options_(options),
      run_(config.output),
      limit_(TimeLimit::Clock::now(), config.train.max_seconds) {
  if (host.size() > 1)
    watchdog_.emplace(config.parallel.timeout_s, *options.stop_signal,
                      [this] { return last_checkpoint_text(); });
  host.alone_ends_all([&] { open(host); });
}

void Trainer::open(const HostComm& host) {
  host.together([&] {
    place_ = choose_place(config_, host);
    (void)cpu::kernels();  // named by WEIGHTSCOPE_ISA: refused before anything is touched
  });
  if (config_.parallel.reduction == Reduction::reproducible) ops::repeat_exactly();
  warm_up(types_of(config_.train.precision));
  open_data();
  open_run(options_.resume);
  auto gemms = choose_gemms(config_, place_, host, run_);
  start_bytes_ =
      resident_bytes() - program_bytes();  // with everything that the libraries keep once they have been used
  host.together([&] {
    comm_.emplace(TensorComm::make(host, place_.place, place_.index, config_.parallel.timeout_s));
    node_ = NodeBuffers::make(config_, place_, host, host.node());
    const auto types = types_of(config_.train.precision);
    if (node_)
      store_.emplace(config_.model, types, node_->mine());
    else if (auto memory = registered_buffers(config_, place_, *comm_, host))
      store_.emplace(config_.model, types, std::move(*memory));
    else
      store_.emplace(config_.model, types, place_, host.size());
    gpt_.emplace(config_.model, *store_, config_.train.micro_batch * config_.model.block, Purpose::training,
                 config_.train.recompute);
    gpt_->use(std::move(gemms));
    exchange_.emplace(config_.parallel, *store_, *comm_, host, node_.get(),
                      config_.train.global_batch / host.size() / config_.train.micro_batch);
    optimizer_.emplace(config_.optimizer, *store_, exchange_->shard());
    step_.emplace(config_, host, *gpt_, *store_, *exchange_, *optimizer_);
  });
  initialize_weights();
  fault_point("start", host.rank(), first_step_);
  check_replicas(first_step_);
  open_record();
  saver_.emplace(config_, host, *exchange_, *store_, *optimizer_, *recorder_, saves_beside_training(config_));
  loader_ = std::make_unique<Loader>(
      *train_file_, *sampler_,
      BatchLayout{config_.train.global_batch, config_.model.block, host.rank(), host.size()}, first_step_);
}

void Trainer::open_data() {
  host_->together([&] {
    train_file_ = TokenFile::open_training_data(config_.data.train);
    tokenizer_ = tokenizer_meta(config_.data.train);
    if (!config_.data.val.empty()) val_file_ = TokenFile::open(config_.data.val);
    const auto blocks_in = [&](const TokenFile& file) {
      const auto blocks = file.blocks(config_.model.block);
      if (host_->local_rank() == 0)
        file.check_ids(config_.model.vocab);  // each node may have a copy of its own
      return blocks;
    };
    sampler_.emplace(blocks_in(*train_file_), config_.data.order == SampleOrder::shuffled, config_.seed);
    if (val_file_) blocks_in(*val_file_);
  });
}

void Trainer::open_run(const Resume& resume) {
  host_->together([&] {
    if (!host_->is_root()) return;
    require(resume.mode == Resume::Mode::automatic || resume.mode == Resume::Mode::never || is_there(run_),
            Fault::input, run_.string() + " does not exist, and --resume asks for a run that goes on");
    lock_.emplace(RunLock::acquire(run_));
    remove_leftovers(run_);  // they may be as large as a checkpoint
    preflight(run_, config_.checkpoint.every > 0 ? checkpoint_bytes(config_) : 0);
    checkpoint_ = choose_checkpoint(run_, config_, resume);
    if (!checkpoint_) return;
    first_step_ = checkpoint_->info.step, earlier_seconds_ = checkpoint_->info.wall_time;
  });
  first_step_ = host_->max(first_step_);
  earlier_seconds_ = host_->max(earlier_seconds_);
}

void Trainer::initialize_weights() {
  const bool resuming = first_step_ > 0;
  if (resuming) {
    load_state(*host_, *comm_, checkpoint_, *store_, *exchange_, *optimizer_);
  } else {
    host_->together([&] {
      if (!host_->is_root()) return;
      const auto plan = plan_initialization(config_, store_->parameters());
      if (config_.init.from.empty())
        weightscope::initialize(*store_, plan, config_.seed);
      else
        load_initial_weights(config_, *store_);
      init_report_ = report_initialization(*store_, plan);
      if (!config_.init.from.empty()) init_report_ = imported(std::move(init_report_), config_.init.from);
      require(init_report_.pass, Fault::numeric,
              (config_.init.from.empty()
                   ? "the initialization does not follow its scheme"
                   : "init.from = " + config_.init.from + " holds weights that are not finite") +
                  "; weightscope init shows which tensor");
      if (config_.monitor.displacement)
        write_safetensors(run_ / "initial.safetensors", named_tensors(*store_, store_->master(), "").refs,
                          {});
    });
    exchange_->broadcast_weights();
  }
  checkpoint_.reset();
  host_->together([&] {
    require(
        !config_.monitor.displacement || is_there(run_ / "initial.safetensors"), Fault::input,
        (run_ / "initial.safetensors").string() +
            " is not there (the run was begun without monitor.displacement) set monitor.displacement: false");
    if (config_.monitor.displacement) initial_.emplace(Safetensors::open(run_ / "initial.safetensors"));
  });
}

SegmentRow Trainer::segment(const std::string& hosts) const {
  SegmentRow row;
  row.start_step = row.end_step = first_step_, row.world_size = host_->size();
  row.backend = std::string(comm_->name()) + (exchange_->shares_memory() ? ", shared memory" : "");
  row.devices = place_.place == Place::cuda
                    ? "cuda"
                    : "cpu, " + std::to_string(options_.threads) +
                          (options_.threads == 1 ? " thread per rank" : " threads per rank");
  row.hosts = hosts;
  row.job_id = environment("SLURM_JOB_ID");
  const auto restarts = environment("SLURM_RESTART_COUNT");
  row.restart_count = restarts.empty() ? 0 : std::atoi(restarts.c_str());
  row.git = options_.revision;
  row.status = "running";
  return row;
}

void Trainer::open_record() {
  const auto hosts = machines(*host_);
  host_->together([&] {
    recorder_.emplace(*host_, weight_slices(*store_, config_.model, initial_ ? &*initial_ : nullptr),
                      shape_of(config_, *store_));
    if (!host_->is_root()) return;
    ExperimentHeader header;
    header.name = config_.name, header.config_yaml = to_yaml(config_), header.version = version();
    header.layers = config_.model.layers, header.heads = config_.model.heads;
    header.head_summaries = config_.monitor.heads, header.head_histograms = config_.monitor.head_histograms;
    header.displacement = config_.monitor.displacement, header.gradients = config_.monitor.gradients;
    for (const auto& p : store_->parameters())
      header.parameters.push_back(p.name), header.parameter_shapes.push_back(shape_text(p.shape));
    header.init = init_report_.rows;
    if (first_step_ > 0) set_later_aside(run_, first_step_);  // before the record goes back, too
    const bool exists = std::filesystem::exists(run_ / "experiment.h5");
    auto file =
        exists ? ExperimentFile::resume(run_, header, first_step_) : ExperimentFile::create(run_, header);
    write_file_atomically(run_ / "config.yaml", to_yaml(config_));
    recorder_->open(std::move(file), run_, first_step_, config_.train.write_errors == OnWriteError::proceed);
    recorder_->begin_segment(segment(hosts));
    recorder_->flush();  // a job that dies in its first steps has been there, too
    for (const auto& alarm : options_.undone)
      if (alarm.step >= first_step_) recorder_->add(alarm);
    watch_for_alarms();
    recorder_->note("start", first_step_, first_step_ > 0 ? "resumed" : "fresh");
  });
}

/// Rank 0.
void Trainer::watch_for_alarms() {
  WatchedModel model{config_.model.layers, config_.model.heads, config_.model.block, {}, {}};
  for (const auto& p : store_->parameters())
    model.parameters.push_back(p.name), model.shapes.push_back(shape_text(p.shape));
  Alarms alarms(config_.monitor.alarms, std::move(model), config_.monitor.heads);
  if (first_step_ > 0) alarms.go_on_from(read_recent(run_, alarms.rows_needed()));
  recorder_->watch(std::move(alarms));
}

}  // namespace weightscope

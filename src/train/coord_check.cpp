#include "train/coord_check.hpp"

#include "config/config.hpp"
#include "core/error.hpp"
#include "model/initialize.hpp"
#include "train/coord_sizes.hpp"
#include "train/train_step.hpp"
#include "train/trainer.hpp"

namespace weightscope {
namespace {

/// A whole trainer of one rank, without a run directory.
struct Trainee {
  Trainee(const RunConfig& c, const HostComm& host)
      : place(choose_place(c, host)),
        comm(TensorComm::make(host, place.place, place.index, c.parallel.timeout_s)),
        store(c.model, types_of(c.train.precision), place, 1),
        gpt(c.model, store, c.train.micro_batch * c.model.block, Purpose::training, c.train.recompute),
        exchange(c.parallel, store, comm, host, nullptr, c.train.global_batch / c.train.micro_batch),
        optimizer(c.optimizer, store, exchange.shard()),
        step(c, host, gpt, store, exchange, optimizer) {
    initialize(store, plan_initialization(c, store.parameters()), c.seed);
  }
  DevicePlace place;
  TensorComm comm;
  ParamStore store;
  Gpt gpt;
  GradientExchange exchange;
  Optimizer optimizer;
  TrainStep step;
};

void set_heads(ModelConfig& model, int width, Grow grow) {
  const int head = model.width / model.heads;
  if (grow == Grow::heads) {
    require(width % head == 0, Fault::config,
            "width " + std::to_string(width) + " is no multiple of the head size " + std::to_string(head) +
                " (model.width / model.heads), which stays when heads grow; choose other --widths, or --grow "
                "head_width");
    model.heads = width / head;
  }
  model.width = width;
}

void set_standard(RunConfig& c) {
  c.model.mup_base_width = c.model.mup_base_head_width = 0;
  if (c.init.scheme == InitScheme::mup) c.init.scheme = InitScheme::gpt2;
  for (auto& rule : c.init.rules)
    if (rule.scheme == InitScheme::mup) rule.scheme = InitScheme::gpt2;
}

void set_mup(RunConfig& c, int base, Grow grow) {
  auto& m = c.model;
  c.init.scheme = InitScheme::mup;
  if (m.mup_base_width == 0) m.mup_base_width = base;
  if (grow == Grow::heads) return;
  require(m.mup_base_width % m.heads == 0, Fault::config,
          "the base width " + std::to_string(m.mup_base_width) +
              " is no multiple of model.heads = " + std::to_string(m.heads));
  m.mup_base_head_width = m.mup_base_width / m.heads;
}

}  // namespace

RunConfig coord_config(const RunConfig& config, Parametrization which, int width, int base, Grow grow,
                       std::uint64_t seed) {
  require(config.init.from.empty(), Fault::config,
          "init.from gives weights of one width; coord-check draws them at several");
  RunConfig c = config;
  set_heads(c.model, width, grow);
  if (which == Parametrization::standard)
    set_standard(c);
  else
    set_mup(c, base, grow);
  c.seed = seed;
  c.schedule = {ScheduleName::constant, 0, 1, 0};
  return parse_config(to_yaml(c), "width " + std::to_string(width), {}, 1);
}

CoordSizes coordinate_sizes(const RunConfig& config, const HostComm& host, const TokenFile& file,
                            std::int64_t steps) {
  const std::int64_t T = config.model.block;
  const Sampler in_order((file.tokens().size() - 1) / static_cast<std::size_t>(T), false, 0);
  Batch batch;
  read_rows(file, in_order, 0, config.train.global_batch, T, batch);
  Trainee trainee(config, host);
  const auto rows = rows_measured(config);
  MicroBatch m;
  m.batch = rows, m.T = T;
  m.tokens_R = to_device(batch.tokens, 0, rows, T, trainee.place);
  m.targets_R = to_device(batch.targets, 0, rows, T, trainee.place);

  const auto start = coordinates(trainee.gpt, m);
  CoordSizes sizes;
  const auto measure = [&](const Coordinates& now) {
    auto [size, change] = compare_coordinates(now, start, trainee.gpt, rows);
    sizes.size.push_back(std::move(size)), sizes.change.push_back(std::move(change));
  };
  measure(start);
  for (std::int64_t s = 0; s < steps; ++s) {
    sizes.loss.push_back(trainee.step.run(s, batch, false).loss);
    measure(coordinates(trainee.gpt, m));
  }
  return sizes;
}

}  // namespace weightscope

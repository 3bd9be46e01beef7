#pragma once
// Five AdamW steps of transformers' GPT2LMHeadModel and torch.optim.AdamW (tests/oracle/README.md), to be
// compared with ours.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/file_io.hpp"
#include "model/weights_io.hpp"
#include "train/registered_buffers.hpp"
#include "train/train_step.hpp"

namespace weightscope {

inline const std::string kFolder = WEIGHTSCOPE_TEST_ORACLE "/tiny_gelu_new/";

inline RunConfig shaped(const ModelConfig& model) {
  RunConfig config;
  config.model = model;
  return config;
}

inline RunConfig oracle_config(double clip = 1.0, bool measures_gradients = false) {
  RunConfig config = shaped(model_of(kFolder));
  config.train.global_batch = 4, config.train.micro_batch = 1, config.train.grad_clip = clip;
  config.optimizer = {OptimizerName::adamw, 1e-3, 0.9, 0.95, 1e-8, 0.1};
  config.schedule.name = ScheduleName::constant;
  config.monitor.gradients = measures_gradients;
  return config;
}

struct OracleRun {
  explicit OracleRun(double clip = 1.0, DevicePlace where = {}, bool measures_gradients = false)
      : OracleRun(oracle_config(clip, measures_gradients), where) {}
  OracleRun(const RunConfig& c, DevicePlace where) : config(c), place(where) {
    if (host.is_root()) load_model(kFolder, store);
    exchange.broadcast_weights();
  }
  Batch batch(std::size_t number) const {
    Batch out;
    const auto per_rank = 4U / static_cast<unsigned>(host.size()),
               first = static_cast<unsigned>(host.rank()) * per_rank;
    for (std::size_t row = first; row < first + per_rank; ++row)
      for (std::size_t i = 0; i < 16; ++i) {
        out.tokens.push_back(expected["tokens"][number][row][i]);
        out.targets.push_back(expected["tokens"][number][row][i + 1]);
      }
    return out;
  }

  /// Every shard of a flat buffer, on every rank.
  at::Tensor all(const at::Tensor& flat) {
    const auto mine = flat.narrow(0, exchange.shard().begin, exchange.shard().size()).clone();
    return exchange.gathered(mine, 0);
  }

  ParamStore made_store() {
    const auto types = types_of(Precision::fp32);
    if (node) return ParamStore(model, types, node->mine());
    if (auto memory = registered_buffers(config, place, comm, host))
      return ParamStore(model, types, std::move(*memory));
    return ParamStore(model, types, place, host.size());
  }

  nlohmann::json expected = nlohmann::json::parse(read_file(kFolder + "expected.json", Fault::input));
  RunConfig config;
  DevicePlace place;
  HostComm host = HostComm::world();
  TensorComm comm = TensorComm::make(host, place.place, place.index, 60);
  ModelConfig model = config.model;
  std::unique_ptr<NodeBuffers> node = NodeBuffers::make(config, place, host, host.node());
  ParamStore store = made_store();
  Gpt gpt{model, store, 16, Purpose::training, false};
  OptimizerConfig adamw{OptimizerName::adamw, 1e-3, 0.9, 0.95, 1e-8, 0.1};
  GradientExchange exchange{config.parallel, store, comm, host, node.get(), 4 / host.size()};
  Optimizer optimizer{adamw, store, exchange.shard()};
  TrainStep step{config, host, gpt, store, exchange, optimizer};
};

/// Where the first gradient is below 1e-6, a millionth of a typical one: there AdamW's first update,
/// lr·g/(|g| + eps), turns the rounding of g (about 4e-9) into up to 1 % of lr. One element of the model is
/// such a place.
inline at::Tensor ill_conditioned(const Parameter& p) {
  static const auto fixture = Safetensors::open(kFolder + "expected.safetensors");
  const auto* ref = fixture.find("grad.transformer." + p.name);
  auto gradient = at::from_blob(const_cast<void*>(ref->data), ref->shape, at::kFloat);
  if (p.layer >= 0 && gradient.dim() == 2) gradient = gradient.t();
  return gradient.abs() < 1e-6;
}

/// Largest difference to PREFIX + "transformer." + name of a fixture, Conv1D weights transposed; the K third
/// of c_attn.bias, whose true gradient is zero, left out.
inline double largest_difference(const OracleRun& run, const at::Tensor& flat, const std::string& file,
                                 const std::string& prefix) {
  const auto fixture = Safetensors::open(kFolder + file);
  double worst = 0;
  int compared = 0;
  for (const auto& p : run.store.parameters()) {
    const auto* ref = fixture.find(prefix + "transformer." + p.name);
    if (ref == nullptr) continue;
    ++compared;
    auto theirs = at::from_blob(const_cast<void*>(ref->data), ref->shape, at::kFloat);
    if (p.layer >= 0 && theirs.dim() == 2) theirs = theirs.t();
    auto difference = (ParamStore::view(flat, p).cpu() - theirs).abs();
    if (p.name.ends_with("c_attn.bias")) difference.narrow(0, p.rows() / 3, p.rows() / 3).zero_();
    if (file.starts_with("after")) difference.masked_fill_(ill_conditioned(p) & (difference < 1e-4), 0);
    const double largest = difference.max().item<double>();
    EXPECT_FALSE(std::isnan(largest)) << p.name;  // no maximum shows it
    worst = std::max(worst, largest);
  }
  EXPECT_EQ(compared, static_cast<int>(run.store.parameters().size())) << file << " " << prefix << "NAME";
  return worst;
}

/// Weights, moments and losses of five steps. Collective.
inline void expect_five_steps(OracleRun& run) {
  for (std::size_t s = 0; s < 5; ++s) {
    const auto result = run.step.run(static_cast<std::int64_t>(s), run.batch(s), false);
    run.exchange.await_weights();
    EXPECT_NEAR(result.loss / run.expected["train"]["losses"][s].get<double>(), 1, 1e-5) << s;
    EXPECT_NEAR(result.grad_norm / run.expected["train"]["grad_norm_before_clip"][s].get<double>(), 1, 1e-4)
        << s;
    if (s == 0) {
      EXPECT_LT(largest_difference(run, run.store.master(), "after_step1.safetensors", ""), 5e-6);
    }
  }
  EXPECT_LT(largest_difference(run, run.store.master(), "after_step5.safetensors", ""), 5e-6);
  // Only the moments tell a forgotten 1/world or a wrong clip: AdamW hides the scale of gradients.
  EXPECT_LT(largest_difference(run, run.exchange.gathered(run.optimizer.exp_avg(), 0),
                               "adam_state_step5.safetensors", "exp_avg."),
            1e-6);
  EXPECT_LT(largest_difference(run, run.exchange.gathered(run.optimizer.exp_avg_sq(), 1),
                               "adam_state_step5.safetensors", "exp_avg_sq."),
            1e-6);
}

}  // namespace weightscope

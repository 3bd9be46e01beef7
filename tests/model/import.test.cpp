// Models from elsewhere: what their descriptions say is held against the limits and the files before memory
// is taken.
#include <ATen/ATen.h>

#include <cmath>
#include <fstream>
#include <functional>

#include "config/config.hpp"
#include "core/error.hpp"
#include "model/gpt.hpp"
#include "model/hf_config.hpp"
#include "model/init_report.hpp"
#include "model/initialize.hpp"
#include "model/weights_io.hpp"
#include "support/scratch.hpp"

namespace weightscope {
namespace {

const std::string kGood = R"("n_layer":1,"n_head":1,"n_embd":2,"n_positions":2,"vocab_size":2)";

void expect_refused(const std::string& why, const std::function<void()>& action) {
  try {
    action();
    ADD_FAILURE() << "was read; expected: " << why;
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), 4) << e.what();
    EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
  }
}

void write_config(const Scratch& scratch, const std::string& text) {
  std::ofstream(scratch / "config.json") << text;
}

}  // namespace

TEST(HfConfig, RefusesValuesOfTheWrongKindAndAbsurdSizes) {
  const Scratch scratch;
  write_config(scratch, "{" + kGood + "}");
  EXPECT_EQ(model_from_hf_config(scratch / "config.json").width, 2);
  for (const auto& [text, why] :
       {std::pair<std::string, std::string>{"", "not a JSON object"},
        {"[]", "not a JSON object"},
        {std::string(100'000, '['), "nested too deeply"},
        {"{" + kGood + R"(,"model_type":5})", "must be string"},
        {"{" + kGood + R"(,"tie_word_embeddings":"yes"})", "must be boolean"},
        {"{" + kGood + R"(,"n_inner":1e3})", "n_inner"},
        {"{" + kGood + R"(,"n_inner":200})", "model.mlp_ratio = 100 is outside"},
        {"{" + kGood + R"(,"model_type":"gpt_neo"})", "model_type is not gpt2"},
        {"{" + kGood + R"(,"activation_function":"relu"})", "activation_function relu"},
        {"{" + kGood + R"(,"scale_attn_by_inverse_layer_idx":true})", "scale_attn_by_inverse_layer_idx"},
        {"{" + kGood + R"(,"scale_attn_weights":false})", "scale_attn_weights"},
        {"{" + kGood + R"(,"layer_norm_epsilon":1e-6})", "layer_norm_epsilon"},
        {R"({"n_layer":1,"n_head":3,"n_embd":4,"n_positions":2,"vocab_size":2})", "n_head does not divide"},
        {R"({"n_layer":16777216,"n_head":1,"n_embd":2,"n_positions":2,"vocab_size":2})",
         "model.layers = 16777216"},
        {R"({"n_layer":1,"n_head":1,"n_embd":16777216,"n_positions":2,"vocab_size":2})",
         "model.width = 16777216"},
        {R"({"n_layer":18446744073709551615,"n_head":1,"n_embd":2,"n_positions":2,"vocab_size":2})",
         "out of range"},
        {R"({"n_layer":-1,"n_head":1,"n_embd":2,"n_positions":2,"vocab_size":2})", "out of range"}}) {
    write_config(scratch, text);
    expect_refused(why, [&] { (void)model_from_hf_config(scratch / "config.json"); });
  }
}

TEST(ModelOf, TakesNoMemoryForAModelThatTheFileDoesNotHold) {
  const Scratch scratch;
  // A petabyte, says config.json.
  write_config(
      scratch,
      R"({"n_layer":1024,"n_head":1,"n_embd":65536,"n_positions":1024,"vocab_size":65536,"n_inner":4194304})");
  const std::vector<float> weights(4);
  write_safetensors(scratch / "model.safetensors",
                    std::vector<TensorRef>{{"wte.weight", DType::f32, {2, 2}, weights.data()}}, {});
  expect_refused("wte.weight does not have the shape", [&] { (void)model_of(scratch.path()); });
}

TEST(ModelOf, TakesNoMemoryForAModelThatTheCheckpointDoesNotHold) {
  const Scratch scratch;
  CheckpointInfo info;
  info.config_yaml = "model: {layers: 1024, width: 65536, heads: 1, mlp_ratio: 64}";
  const std::vector<float> weights(4);
  write_checkpoint_at(scratch / "checkpoint", info,
                      std::vector<TensorRef>{{"wte.weight", DType::f32, {2, 2}, weights.data()}}, {});
  expect_refused("wte.weight is missing or has another shape",
                 [&] { (void)model_of(scratch / "checkpoint"); });
}

TEST(ExportHf, RefusesNormsOfQAndKBeforeAnythingIsWritten) {
  const Scratch scratch;
  ModelConfig m;
  m.layers = 1, m.heads = 2, m.width = 8, m.block = 4, m.vocab = 9, m.qk_norm = true;
  const ParamStore store(m, types_of(Precision::fp32), {}, 1);
  expect_refused("model.qk_norm cannot be exported", [&] { export_hf(scratch / "out", store, m); });
  EXPECT_FALSE(std::filesystem::exists(scratch / "out"));
}

/// A muP model whose scales are not powers of two, with random weights.
struct MupModel {
  explicit MupModel(bool tied) : model(small(tied)), store(model, types_of(Precision::fp32), {}, 1) {
    at::manual_seed(5);
    at::Tensor(store.master()).copy_(at::randn({store.size()}) * 0.3);
  }
  static ModelConfig small(bool tied) {
    ModelConfig m;
    m.layers = 2, m.heads = 2, m.width = 16, m.block = 8, m.vocab = 37, m.tied = tied;
    m.mup_base_width = 6, m.mup_base_head_width = 3;
    return m;
  }
  ModelConfig model;
  ParamStore store;
};

at::Tensor logits_of(const ModelConfig& model, const ParamStore& store) {
  Gpt gpt(model, store, 2 * model.block, Purpose::evaluation, false);
  MicroBatch m;
  m.batch = 2, m.T = model.block;
  m.tokens_R = at::arange(2 * model.block).mul(7).remainder(model.vocab);
  gpt.forward(m);
  return gpt.logits();
}

TEST(ExportHf, PutsTheScalesOfMupIntoTheWeights) {
  for (const bool tied : {true, false}) {
    const Scratch scratch;
    const MupModel mup(tied);
    export_hf(scratch / "out", mup.store, mup.model);
    const auto plain = model_of(scratch / "out");
    EXPECT_EQ(plain.mup_base_width, 0);
    const ParamStore store(plain, types_of(Precision::fp32), {}, 1);
    load_model(scratch / "out", store);
    const auto ours = logits_of(mup.model, mup.store), theirs = logits_of(plain, store);
    EXPECT_LT((ours - theirs).abs().max().item<double>(), 2e-6 * ours.abs().max().item<double>());
    // Without them it is another model.
    const auto other = logits_of(plain, mup.store);
    EXPECT_GT((ours - other).abs().max().item<double>(), 0.1 * ours.abs().max().item<double>());
  }
}

TEST(InitFrom, RefusesWeightsOfAnotherArchitecture) {
  const Scratch scratch;
  RunConfig config;
  auto& m = config.model;
  m.layers = 2, m.heads = 2, m.width = 16, m.block = 8, m.vocab = 37;
  const ParamStore source(m, types_of(Precision::fp32), {}, 1);
  at::Tensor(source.master()).normal_();
  CheckpointInfo info;
  info.config_yaml = to_yaml(config);
  write_checkpoint_at(scratch / "ours", info, named_tensors(source, source.master(), "").refs, {});
  export_hf(scratch / "hf", source, m);
  for (const auto* from : {"ours", "hf"}) {
    config.init.from = scratch / from;
    load_initial_weights(config, ParamStore(m, types_of(Precision::fp32), {}, 1));
    const auto refused = [&](const char* says, auto&& change) {
      auto other = config;
      change(other.model);
      const ParamStore store(other.model, types_of(Precision::fp32), {}, 1);
      expect_refused(says, [&] { load_initial_weights(other, store); });
    };
    refused("model.heads is 2 there and 4 here", [](auto& o) { o.heads = 4; });
    refused("model.layers is 2 there and 1 here", [](auto& o) { o.layers = 1; });
    refused("model.bias is true there and false here", [](auto& o) { o.bias = false; });
    refused("model.activation is gelu_tanh there and gelu here",
            [](auto& o) { o.activation = Activation::gelu; });
    refused("model.tied is true there and false here", [](auto& o) { o.tied = false; });
    refused("model.qk_norm is false there and true here", [](auto& o) { o.qk_norm = true; });
  }
}

TEST(InitFrom, TakesAnExportOfAModelWithoutBiases) {
  const Scratch scratch;
  RunConfig config;
  auto& m = config.model;
  m.layers = 2, m.heads = 2, m.width = 16, m.block = 8, m.vocab = 37, m.bias = false;
  const ParamStore source(m, types_of(Precision::fp32), {}, 1);
  at::Tensor(source.master()).normal_();
  export_hf(scratch / "hf", source, m);
  config.init.from = scratch / "hf";
  const ParamStore store(m, types_of(Precision::fp32), {}, 1);
  load_initial_weights(config, store);
  for (const auto& p : store.parameters())
    EXPECT_TRUE(at::equal(ParamStore::view(store.master(), p), ParamStore::view(source.master(), p)))
        << p.name;
}

TEST(InitFrom, IsHeldToNothingButFiniteNumbers) {
  RunConfig config;
  auto& m = config.model;
  m.layers = 1, m.heads = 2, m.width = 16, m.block = 8, m.vocab = 37;
  const ParamStore store(m, types_of(Precision::fp32), {}, 1);
  const auto plan = plan_initialization(config, store.parameters());
  at::Tensor(store.master()).fill_(3);  // no scheme's
  auto report = imported(report_initialization(store, plan), "hf");
  EXPECT_TRUE(report.pass);
  EXPECT_EQ(report.rows.front().verdict, "imported");
  const auto& broken = store.parameters().front();
  ParamStore::view(store.master(), broken).view({-1})[0] = std::nan("");
  report = imported(report_initialization(store, plan), "hf");
  EXPECT_FALSE(report.pass);
  for (const auto& row : report.rows)
    EXPECT_EQ(row.verdict, row.name == broken.name ? "fail: not finite" : "imported") << row.name;
}

TEST(InitFrom, RefusesWeightsForOtherScales) {
  const Scratch scratch;
  const MupModel mup(true);
  RunConfig config;
  config.model = mup.model, config.init.scheme = InitScheme::mup;
  CheckpointInfo info;
  info.config_yaml = to_yaml(config);
  write_checkpoint_at(scratch / "checkpoint", info, named_tensors(mup.store, mup.store.master(), "").refs,
                      {});
  config.init.from = scratch / "checkpoint";
  const ParamStore store(config.model, types_of(Precision::fp32), {}, 1);
  load_initial_weights(config, store);
  for (const auto& p : store.parameters())
    EXPECT_TRUE(at::equal(ParamStore::view(store.master(), p), ParamStore::view(mup.store.master(), p)))
        << p.name;
  auto other = config;
  other.model.mup_base_width = 8;
  expect_refused("logits times 0.375", [&] { load_initial_weights(other, store); });
  other = config;
  other.model.mup_base_head_width = 0;
  expect_refused("attention logits times 0.612372", [&] { load_initial_weights(other, store); });
}

TEST(ModelOf, OfAConfigurationThatIsNoneBlamesTheCheckpoint) {
  const Scratch scratch;
  for (const char* yaml : {"model: {layers: 0}", "- 1"}) {
    CheckpointInfo info;
    info.config_yaml = yaml;
    const std::vector<float> weights(4);
    const std::vector<TensorRef> model{{"wte.weight", DType::f32, {2, 2}, weights.data()}};
    write_checkpoint_at(scratch / "checkpoint", info, model, {});
    expect_refused("manifest.json", [&] { (void)model_of(scratch / "checkpoint"); });
  }
}

TEST(ModelOf, NeedsAPathThatExists) {
  expect_refused("does not exist", [] { (void)model_of(std::string(100'000, 'a')); });
}

}  // namespace weightscope

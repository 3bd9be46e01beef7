// Models from elsewhere: what their descriptions say is held against the limits and the files before memory
// is taken.
#include <fstream>
#include <functional>

#include "config/config.hpp"
#include "core/error.hpp"
#include "model/hf_config.hpp"
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

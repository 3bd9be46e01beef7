#include "store/checkpoint.hpp"

#include <cstring>

#include "monitor/weights.hpp"
#include "store/folder.hpp"

namespace weightscope {
namespace {

namespace fs = std::filesystem;

struct State {
  std::vector<float> wte, bias, first, second;
  explicit State(double scale = 1)
      : wte(normal_weights(300, "wte", scale)),
        bias(10, static_cast<float>(scale)),
        first(300, 2.0f),
        second(300, 3.0f) {}
  std::vector<TensorRef> model() const {
    return {{"wte.weight", DType::f32, {30, 10}, wte.data()},
            {"h.0.mlp.c_fc.bias", DType::f32, {10}, bias.data()}};
  }
  std::vector<TensorRef> optimizer() const {
    return {{"exp_avg.wte.weight", DType::f32, {30, 10}, first.data()},
            {"exp_avg_sq.wte.weight", DType::f32, {30, 10}, second.data()}};
  }
};

CheckpointInfo info_of(std::int64_t step) {
  CheckpointInfo info;
  info.step = step, info.seed = 0xfedcba9876543210ULL, info.tokens = 1e9 / 3, info.epoch = 0.1,
  info.wall_time = 12.5;
  info.world_size = 4, info.config_yaml = "name: é\nseed: 1\n", info.config_fingerprint = "abc",
  info.tokenizer = "{}";
  return info;
}

}  // namespace

TEST(Checkpoint, ReadsBackEverythingThatWasWritten) {
  const Folder run;
  const State state;
  const auto directory = write_checkpoint(run.path(), info_of(600), state.model(), state.optimizer());
  EXPECT_EQ(directory, run.path() / "checkpoints/step-00000600");
  EXPECT_EQ(bytes_of(run / "checkpoints/LATEST"), "step-00000600\n");
  const auto c = open_checkpoint(directory);
  EXPECT_EQ(c.info.step, 600);
  EXPECT_EQ(c.info.seed, 0xfedcba9876543210ULL);
  EXPECT_EQ(c.info.tokens, 1e9 / 3);
  EXPECT_EQ(c.info.epoch, 0.1);
  EXPECT_EQ(c.info.wall_time, 12.5);
  EXPECT_EQ(c.info.world_size, 4);
  EXPECT_EQ(c.info.config_yaml, "name: é\nseed: 1\n");
  EXPECT_EQ(c.info.config_fingerprint, "abc");
  EXPECT_EQ(c.info.tokenizer, "{}");
  EXPECT_EQ(std::memcmp(c.model.find("wte.weight")->data, state.wte.data(), 1200), 0);
  EXPECT_EQ(std::memcmp(c.optimizer.value().find("exp_avg_sq.wte.weight")->data, state.second.data(), 1200),
            0);
}

TEST(Checkpoint, WithoutOptimizerCanBeMadeAnywhere) {
  const Folder folder;
  const State state;
  write_checkpoint_at(folder / "a/imported/", info_of(0), state.model(), {});
  EXPECT_FALSE(open_checkpoint(folder / "a/imported").optimizer.has_value());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "a"), {}), 1);
}

TEST(OpenCheckpoint, NamesTheFileInWhichAnyByteIsWrong) {
  const Folder run;
  const State state;
  const auto directory = write_checkpoint(run.path(), info_of(1), state.model(), state.optimizer());
  for (const std::string name : {"manifest.json", "model.safetensors", "optimizer.safetensors"}) {
    const auto whole = bytes_of(directory / name);
    const std::size_t stride = name == "manifest.json" ? 3 : 37;
    for (std::size_t at = 0; at < whole.size(); at += stride) {
      auto damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
      if (name == "manifest.json" && (whole[at] == ' ' || whole[at] == '\n')) continue;  // no meaning in JSON
      put(directory / name, damaged);
      expect_error(
          Fault::input, name, [&] { open_checkpoint(directory); }, "byte " + std::to_string(at));
    }
    put(directory / name, whole);
  }
  EXPECT_NO_THROW(open_checkpoint(directory));
}

TEST(OpenCheckpoint, NamesTheFileThatIsCutOrMissing) {
  const Folder run;
  const State state;
  const auto directory = write_checkpoint(run.path(), info_of(1), state.model(), state.optimizer());
  for (const std::string name : {"manifest.json", "model.safetensors", "optimizer.safetensors"}) {
    const auto whole = bytes_of(directory / name);
    for (const std::size_t n :
         {std::size_t{0}, std::size_t{1}, std::size_t{8}, whole.size() / 2, whole.size() - 3}) {
      put(directory / name, whole.substr(0, n));
      expect_error(
          Fault::input, name, [&] { open_checkpoint(directory); }, "cut to " + std::to_string(n));
    }
    fs::remove(directory / name);
    expect_error(
        Fault::input, name, [&] { open_checkpoint(directory); }, "removed");
    put(directory / name, whole);
  }
}

TEST(WriteCheckpoint, ReplacesOneOfTheSameStepAndIgnoresLeftovers) {
  const Folder run;
  put(run / "checkpoints/.tmp-step-00000005/model.safetensors", "left over");
  put(run / "checkpoints/.tmp-step-00000005/other", "left over");
  const State old(1), fresh(2);
  write_checkpoint(run.path(), info_of(5), old.model(), old.optimizer());
  write_checkpoint(run.path(), info_of(5), fresh.model(), {});
  const auto c = open_checkpoint(checkpoint_directory(run.path(), 5));
  EXPECT_EQ(std::memcmp(c.model.find("wte.weight")->data, fresh.wte.data(), 1200), 0);
  EXPECT_FALSE(c.optimizer.has_value());
  EXPECT_EQ(std::distance(fs::directory_iterator(c.directory), {}), 2);
  EXPECT_EQ(std::distance(fs::directory_iterator(run / "checkpoints"), {}), 2) << "the checkpoint and LATEST";
}

TEST(CheckpointSteps, ListsCompleteOnesInOrder) {
  const Folder run;
  EXPECT_TRUE(checkpoint_steps(run.path()).empty());
  const State state;
  for (const std::int64_t step : {1000, 5, 123456789})
    write_checkpoint(run.path(), info_of(step), state.model(), {});
  make_directories(run / "checkpoints/.tmp-step-00000007");
  make_directories(run / "checkpoints/step-00000009");  // no manifest
  make_directories(run / "checkpoints/step-x");
  EXPECT_EQ(checkpoint_steps(run.path()), (std::vector<std::int64_t>{5, 1000, 123456789}));
}

TEST(SetLaterAside, TakesThemOutOfTheListUntilThereIsANewerOne) {
  const Folder run;
  const State state;
  const auto named = [&](const std::string& name) { return fs::exists(run / ("checkpoints/" + name)); };
  for (const std::int64_t step : {200, 400, 600})
    write_checkpoint(run.path(), info_of(step), state.model(), {});
  set_later_aside(run.path(), 600);
  EXPECT_EQ(checkpoint_steps(run.path()), (std::vector<std::int64_t>{200, 400, 600}));
  set_later_aside(run.path(), 200);
  EXPECT_EQ(checkpoint_steps(run.path()), (std::vector<std::int64_t>{200}));
  EXPECT_EQ(bytes_of(run / "checkpoints/LATEST"), "step-00000200\n");
  EXPECT_TRUE(named("set-aside-step-00000400") && named("set-aside-step-00000600"));
  write_checkpoint(run.path(), info_of(250), state.model(), {});
  prune_checkpoints(run.path(), 1, 0);
  EXPECT_EQ(checkpoint_steps(run.path()), (std::vector<std::int64_t>{250})) << "what was just written stays";
  EXPECT_TRUE(named("set-aside-step-00000400"));
  write_checkpoint(run.path(), info_of(400), state.model(), {});
  set_later_aside(run.path(), 250);  // once more: the earlier one of that name goes
  write_checkpoint(run.path(), info_of(450), state.model(), {});
  prune_checkpoints(run.path(), 1, 0);
  EXPECT_FALSE(named("set-aside-step-00000400"));
  EXPECT_TRUE(named("set-aside-step-00000600"));
}

TEST(PruneCheckpoints, KeepsTheNewestAndTheMultiples) {
  const Folder run;
  const State state;
  for (std::int64_t step = 100; step <= 1000; step += 100)
    write_checkpoint(run.path(), info_of(step), state.model(), {});
  put(run / "checkpoints/.tmp-step-00001100/model.safetensors", "left over");
  put(run / "checkpoints/.gone-step-00000050/model.safetensors", "left over");
  prune_checkpoints(run.path(), 2, 400);
  EXPECT_EQ(checkpoint_steps(run.path()), (std::vector<std::int64_t>{400, 800, 900, 1000}));
  EXPECT_EQ(std::distance(fs::directory_iterator(run / "checkpoints"), {}), 5);
  prune_checkpoints(run.path(), 0, 0);
  EXPECT_EQ(checkpoint_steps(run.path()), (std::vector<std::int64_t>{1000}));
  EXPECT_NO_THROW(open_checkpoint(checkpoint_directory(run.path(), 1000)));
}

}  // namespace weightscope

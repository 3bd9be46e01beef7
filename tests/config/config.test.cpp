#include <cstdlib>

#include "config/support.hpp"

namespace weightscope {

TEST(Config, AnEmptyFileGivesTheDefaults) {
  for (const char* text : {"", "{}", "# nothing\n"})
    EXPECT_EQ(parse_config(text, "a.yaml").model.layers, 12) << text;
}

TEST(Config, TheResolvedFileReadsBackToTheSameConfiguration) {
  const auto config = parse_config(
      "name: x\nseed: 18446744073709551615\noptimizer: {lr: 0.1, betas: [0.7, "
      "0.123456789012345678]}\nmonitor: {every: {epochs: 0.5}, alarms: []}\n"
      "init: {scheme: xavier_uniform, rules: [{match: 'h.*.attn.c_proj.weight', scheme: normal, std: "
      "0.004}]}\noutput: \"runs/a b:\\\"c\\\"\"\n"
      "train: {precision: bf16}\nmodel: {activation: gelu, tied: false}",
      "a.yaml");
  const auto yaml = to_yaml(config);
  EXPECT_EQ(to_yaml(parse_config(yaml, "b.yaml")), yaml);
  const auto again = parse_config(yaml, "b.yaml");
  EXPECT_EQ(again.seed, 18446744073709551615ULL);
  EXPECT_EQ(again.optimizer.beta2, 0.123456789012345678);
  EXPECT_EQ(again.monitor.every.epochs, 0.5);
  EXPECT_TRUE(again.monitor.alarms.empty());
  EXPECT_EQ(again.init.rules.at(0).match, "h.*.attn.c_proj.weight");
  EXPECT_EQ(again.output, "runs/a b:\"c\"");
}

TEST(Config, ReportsEveryProblemWithLineAndColumn) {
  const auto all = problems(
      "model:\n  layrs: 3\n  heads: 10\n  activation: relu\ntrain:\n  steps: many\n  global_batch: "
      "0\nmonitor: {every: 0.5}\nextra: 1\n");
  for (const char* line :
       {"run.yaml:2:3: unknown key model.layrs; did you mean layers?",
        "run.yaml:3:10: model.heads = 10 does not divide model.width = 768",
        "run.yaml:4:15: model.activation = relu is not one of gelu_tanh, gelu",
        "run.yaml:6:10: train.steps = many is not an integer",
        "run.yaml:7:17: train.global_batch = 0 is outside [1, 16777216]",
        "run.yaml:8:18: monitor.every = 0.5 is not an integer", "run.yaml:9:1: unknown key extra"})
    EXPECT_NE(all.find(line), std::string::npos) << line << "\n--\n" << all;
  EXPECT_LT(all.find("run.yaml:2"), all.find("run.yaml:9")) << "sorted by line";
}

TEST(Config, OverridesWinAndAreNamedInErrors) {
  EXPECT_EQ(parse_config("train: {steps: 5}", "a", {{"train.steps", "7"}}).train.steps, 7);
  EXPECT_EQ(parse_config("", "a", {{"optimizer.betas", "[0.5, 0.6]"}}).optimizer.beta1, 0.5);
  EXPECT_EQ(parse_config("", "a", {{"output", "/tmp/x"}}).output, "/tmp/x");
  EXPECT_EQ(problems("", {{"model.heads", "5"}}),
            "--set model.heads: model.heads = 5 does not divide model.width = 768");
  EXPECT_NE(problems("", {{"train.stpes", "5"}})
                .find("--set train.stpes: unknown key train.stpes; did you mean steps?"),
            std::string::npos);
}

TEST(Config, CombinationsThatCannotRunAreRefused) {
  const auto refused = [](const std::string& yaml, const std::string& why, int world = 0) {
    const auto text = problems(yaml, {}, world);
    EXPECT_NE(text.find(why), std::string::npos) << yaml << "\n--\n" << text;
  };
  refused("train: {global_batch: 32, micro_batch: 16}",
          "is not a multiple of 4 rank(s) x train.micro_batch = 16", 4);
  refused("parallel: {reduction: reproducible}\ntrain: {global_batch: 48, micro_batch: 16}",
          "to be a power of two, not 3");
  refused("parallel: {reduction: reproducible}\ntrain: {global_batch: 48, micro_batch: 16}",
          "needs 1, 2, 4, 8 ... ranks, not 3", 3);
  refused("parallel: {backend: nccl}\ntrain: {device: cpu}", "train.device = cpu");
  refused("name: a/b", "name = a/b is not");
  refused("init: {scheme: mup}", "init.scheme = mup needs model.mup_base_width");
  refused("model: {mup_base_width: 64}\ninit: {rules: [{match: a, scheme: mup}]}",
          "model.mup_base_width scales learning rates and logits only");
  refused("init: {rules: [{match: a, scheme: mup}]}", "init.scheme = mup needs model.mup_base_width");
  refused("model: {mup_base_width: 64}", "it needs init.scheme: mup");
  refused("model: {mup_base_head_width: 64}",
          "model.mup_base_head_width does nothing without model.mup_base_width");
  refused("model: {mup_base_width: 64, mup_base_head_width: 48}\ninit: {scheme: mup}",
          "model.mup_base_head_width = 48 does not divide model.mup_base_width = 64");
  refused("model: {mup_base_width: -1}", "model.mup_base_width = -1 is outside [0, 65536]");
  refused("init: {scheme: deepnorm}", "init.scheme = deepnorm is left out");
  refused("init: {scheme: xavier_norml}", "did you mean xavier_normal?");
  refused("train: {device: gpu}", "did you mean cuda?");
  refused("train: {precision: float32}", "did you mean fp32?");
  refused("model: {qk_norm: true, width: 8, heads: 8}", "model.qk_norm needs heads of more than one feature");
  refused("model: {vocab: 70000}", "model.vocab = 70000 is outside [2, 65536]");
  refused("optimizer: {betas: [0.9]}", "optimizer.betas must be a list of two numbers");
  refused("model: 3", "model must be a mapping of keys");
  refused("train: {steps: }", "train.steps has no value");
}

TEST(Config, AlarmsAreNamesOrRulesWithKeys) {
  EXPECT_EQ(parse_config("", "a").monitor.alarms.size(), alarm_rules().size()) << "all of them by default";
  const auto config = parse_config(
      "monitor:\n  alarms:\n    - nonfinite\n    - loss_spike\n    - {rule: loss_spike, threshold: 20.5, "
      "window: "
      "128, action: stop}\n    - {rule: update_ratio, low: 1e-5}\n",
      "a.yaml");
  const auto again = parse_config(to_yaml(config), "b.yaml");
  EXPECT_EQ(to_yaml(again), to_yaml(config));
  const auto& alarms = again.monitor.alarms;
  ASSERT_EQ(alarms.size(), 4u);
  EXPECT_EQ(alarms[0].row().name, "nonfinite");
  EXPECT_EQ(alarms[1].values, alarm_setting(alarms[1].rule).values);
  EXPECT_EQ(alarms[2].row().name, "loss_spike");
  EXPECT_EQ(alarms[2].values, (AlarmValues{20.5, 128}));
  EXPECT_EQ(alarms[2].action, AlarmAction::stop);
  EXPECT_EQ(alarms[3].values[0], 1e-5);
  EXPECT_EQ(alarms[3].action, AlarmAction::record);
  EXPECT_NE(to_yaml(config).find("{rule: loss_spike, threshold: 20.5, window: 128, action: stop}"),
            std::string::npos);
  const auto set = parse_config("", "a", {{"monitor.alarms", "[{rule: std_jump, action: checkpoint}]"}});
  EXPECT_EQ(set.monitor.alarms.at(0).action, AlarmAction::checkpoint);
}

TEST(Config, AlarmsAreCheckedLikeEverythingElse) {
  const auto all = problems(
      "monitor:\n  alarms:\n    - loss_spke\n    - {rule: loss_spike, treshold: 5}\n    - {rule: loss_spike, "
      "window: "
      "2.5}\n    - {rule: dead_head, threshold: 2}\n    - {rule: std_jump, action: halt}\n    - {threshold: "
      "3}\n    - "
      "{rule: nonfinite, action: stop}\n    - {rule: std_jmp}\n");
  for (const char* line :
       {"run.yaml:3:7: monitor.alarms[0] = loss_spke is not one of nonfinite, replicas, loss_spike, ",
        "; did you mean loss_spike?",
        "run.yaml:4:26: unknown key monitor.alarms[1].treshold; did you mean threshold?",
        "run.yaml:5:34: monitor.alarms[2].window = 2.5 is not an integer",
        "run.yaml:6:36: monitor.alarms[3].threshold = 2 is outside [0, 1]",
        "run.yaml:7:32: monitor.alarms[4].action = halt is not one of record, checkpoint, stop",
        "run.yaml:8:7: monitor.alarms[5] must be the name of a rule, or {rule: NAME, ...}",
        "run.yaml:9:25: unknown key monitor.alarms[6].action",
        "run.yaml:10:14: monitor.alarms[7].rule = std_jmp is not one of "})
    EXPECT_NE(all.find(line), std::string::npos) << line << "\n--\n" << all;
  EXPECT_NE(problems("monitor: {alarms: nonfinite}").find("monitor.alarms must be a list"),
            std::string::npos);
}

TEST(Config, AnAlarmOfABandHasItsEndsInOrder) {
  const auto all = problems(
      "monitor:\n  alarms:\n    - {rule: update_ratio, low: 0.01, high: 0.001}\n    - {rule: update_ratio, "
      "low: 0.5}\n    - {rule: update_ratio, high: 1e-9}\n");
  for (const char* line :
       {"run.yaml:3:33: monitor.alarms[0].low = 0.01 is above monitor.alarms[0].high = 0.001",
        "run.yaml:4:33: monitor.alarms[1].low = 0.5 is above monitor.alarms[1].high = 0.1",
        "run.yaml:5:34: monitor.alarms[2].low = 6e-08 is above monitor.alarms[2].high = 1e-09"})
    EXPECT_NE(all.find(line), std::string::npos) << line << "\n--\n" << all;
  EXPECT_EQ(parse_config("monitor: {alarms: [{rule: update_ratio, low: 0.1, high: 0.1}]}", "a")
                .monitor.alarms.at(0)
                .values,
            (AlarmValues{0.1, 0.1}));
}

TEST(Config, SubstitutesNameSeedAndEnvironment) {
  ::setenv("WEIGHTSCOPE_TEST_SCRATCH", "/scratch", 1);
  const auto c = parse_config(
      "name: n\nseed: 5\noutput: ${env:WEIGHTSCOPE_TEST_SCRATCH}/${name}-${seed}\ndata: {train: "
      "'${env:WEIGHTSCOPE_TEST_UNSET:-data}/t.bin'}",
      "a");
  EXPECT_EQ(c.output, "/scratch/n-5");
  EXPECT_EQ(c.data.train, "data/t.bin");
  EXPECT_NE(problems("output: ${env:WEIGHTSCOPE_TEST_UNSET}")
                .find("run.yaml:1:9: output: cannot replace ${env:WEIGHTSCOPE_TEST_UNSET}"),
            std::string::npos);
  EXPECT_NE(problems("output: ${nmae}").find("cannot replace ${nmae}; known are"), std::string::npos);
}

TEST(Config, OnlyWhatDefinesTheExperimentBlocksAResume) {
  RunConfig a, b;
  b.train.steps = 10, b.output = "elsewhere", b.monitor.every.steps = 3, b.parallel.zero = 1;
  EXPECT_TRUE(resume_conflicts(a, b).empty());
  EXPECT_EQ(resume_fingerprint(a), resume_fingerprint(b));
  b.optimizer.lr = 0.5, b.model.layers = 3;
  EXPECT_EQ(resume_conflicts(a, b),
            (std::vector<std::string>{"model.layers: 12 → 3", "optimizer.lr: 6e-04 → 0.5"}));
  EXPECT_NE(resume_fingerprint(a), resume_fingerprint(b));
}

TEST(Config, ReferenceNamesKeysDefaultsAndSchemes) {
  const auto text = config_reference();
  EXPECT_NE(text.find("| `optimizer.betas` | `[0.9, 0.95]` | 0 … 0.999999 |"), std::string::npos) << text;
  EXPECT_NE(text.find("| `train.precision` | `fp32` | fp32, bf16 |"), std::string::npos);
  EXPECT_NE(text.find("| `wang_init` |"), std::string::npos);
}

}  // namespace weightscope

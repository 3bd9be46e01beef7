#include "config/support.hpp"

namespace weightscope {

void expect_refused(const std::string& yaml, const std::string& why) {
  const auto text = problems(yaml);
  EXPECT_NE(text.find(why), std::string::npos) << yaml.substr(0, 200) << "\n--\n" << text.substr(0, 500);
}

TEST(StrictYaml, RefusesWhatReadersDisagreeAbout) {
  expect_refused("train: {steps: 010}", "run.yaml:1:16: train.steps = 010 is not an integer");
  expect_refused("train: {steps: '7'}", "run.yaml:1:16: train.steps = \"7\" is not an integer");
  expect_refused("optimizer: {lr: 010.5}", "is not a number");
  expect_refused("train: {steps: 0x10}", "is not an integer");
  expect_refused("train: {steps: 1_000}", "is not an integer");
  expect_refused("train: {steps: 1e3}", "is not an integer");
  expect_refused("train: {steps: \"5\"}", "is not an integer");
  expect_refused("optimizer: {lr: .nan}", "is not a number");
  expect_refused("optimizer: {lr: .inf}", "is not a number");
  expect_refused("optimizer: {lr: 1e999}", "is not a number");
  expect_refused("model: {bias: yes}", "model.bias = yes is not true or false");
  expect_refused("model: {bias: True}", "is not true or false");
}

TEST(StrictYaml, RefusesAnchorsAliasesTagsMergesAndDuplicates) {
  expect_refused("model: &m {layers: 2}", "anchors (&name) are not allowed");
  expect_refused("model: {layers: &l 2, heads: *l}", "aliases (*name) are not allowed");
  expect_refused("train: {steps: !!int 5}", "tags (");
  expect_refused("model:\n  <<: {layers: 2}", "merge keys (<<) are not allowed");
  expect_refused("seed: 1\nname: a\nseed: 2", "run.yaml:3:1: seed appears twice");
  expect_refused("model: {layers: 2, layers: 3}", "layers appears twice");
  expect_refused("seed: 1\n---\nseed: 2\n", "second document");
}

TEST(StrictYaml, RefusesBombsAndRubbish) {
  expect_refused(std::string(20, '[') + std::string(20, ']'), "deeper than 16 levels");
  expect_refused("name: " + std::string(std::size_t{2} << 20, 'x'), "larger than 1 MiB");
  expect_refused(std::string("name: a\0b", 9), "zero byte");
  expect_refused("model: {layers: [", "is not valid YAML");
  expect_refused("a:\n\tb: 1", "is not valid YAML");
  expect_refused("- 1\n- 2", "must be a mapping of keys");
  expect_refused("just text", "must be a mapping of keys");
  expect_refused("? [1, 2]\n: 3", "a key must be plain text");
}

TEST(StrictYaml, ReadsAConfigurationWithManyKeysAndItems) {
  std::string yaml = "init:\n  rules:\n";
  for (int i = 0; i < 500; ++i)
    yaml += "    - {match: 'h." + std::to_string(i) + ".*', scheme: normal, std: 0.5}\n";
  const auto config = parse_config(yaml, "a");
  EXPECT_EQ(config.init.rules.size(), 500U);
  EXPECT_EQ(config.init.rules[499].match, "h.499.*");
}

}  // namespace weightscope

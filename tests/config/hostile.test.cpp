// Configurations that were written to do harm, or that came with a checkpoint.
#include <cstdlib>

#include "config/support.hpp"

namespace weightscope {
namespace {

void expect_refused(const std::string& yaml, const std::string& why) {
  const auto text = problems(yaml);
  EXPECT_NE(text.find(why), std::string::npos) << yaml.substr(0, 200) << "\n--\n" << text.substr(0, 500);
}

std::string repeated(const std::string& part, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += part;
  return all;
}

}  // namespace

TEST(HostileConfig, KeysThatAreNoTextDoNotShiftTheValues) {
  for (const char* yaml : {": name", "? name", "{: name}", "*a : name", "? {a: 1}\n: name", "? [a]\n: name"})
    EXPECT_NE(problems(yaml), "") << yaml;
}

TEST(HostileConfig, HoldsALimitedNumberOfValues) {
  expect_refused("a: [" + repeated("[],", 300'000) + "]", "more than 20000 values");
  expect_refused(repeated("a:\n", 300'000), "more than 20000 values");
}

TEST(HostileConfig, IsUtf8) {
  for (const char* bad :
       {"\xff", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "\x80"})
    expect_refused(std::string("output: ") + bad, "is not UTF-8");
  expect_refused("\xff\xfe", "is not UTF-8");
  EXPECT_EQ(parse_config("output: \"é 日本 🙂 \u00e9\"", "a").output, "é 日本 🙂 é");
}

TEST(HostileConfig, TextsHoldNoControlCharacters) {
  for (const char* text :
       {"\"a\\0b\"", "\"a\\nb\"", "\"\\e[2J\"", "\"\\x7f\"", "\"a\\tb\"", "|\n    two\n    lines"})
    expect_refused("data:\n  train: " + std::string(text) + "\n", "data.train holds a control character");
}

TEST(HostileConfig, WordsThatYamlTakesForNothingAreWrittenInQuotes) {
  for (const char* word : {"null", "Null", "NULL", "~", "true", "1", "- a", "a: b", "#", " x ", "\\\\"}) {
    const auto config = parse_config("data: {train: \"" + std::string(word) + "\"}", "a");
    EXPECT_EQ(parse_config(to_yaml(config), "b").data.train, config.data.train) << to_yaml(config);
  }
}

TEST(HostileConfig, WhatVariablesHoldIsCheckedToo) {
  ::setenv("WEIGHTSCOPE_TEST_LONG", std::string(3000, 'x').c_str(), 1);
  expect_refused("output: ${env:WEIGHTSCOPE_TEST_LONG}${env:WEIGHTSCOPE_TEST_LONG}", "longer than 4096");
  for (const auto& [value, why] :
       {std::pair{"${seed}", "still holds ${"}, {"a\nb", "control character"}, {"\xff", "UTF-8"}}) {
    ::setenv("WEIGHTSCOPE_TEST_NASTY", value, 1);
    expect_refused("output: ${env:WEIGHTSCOPE_TEST_NASTY}", why);
  }
}

TEST(HostileConfig, ProductsThatNoTensorHoldsAreRefused) {
  expect_refused("train: {micro_batch: 16777216, global_batch: 16777216}\nmodel: {block: 1048576}",
                 "more than 2^31 tokens in one forward pass");
  expect_refused("train: {steps: 1000000000000, global_batch: 16777216, micro_batch: 16}",
                 "more than 2^62 tokens");
}

TEST(StoredConfig, LearnsNothingOfTheEnvironment) {
  const auto refused = [](const std::string& yaml, const std::string& why) {
    try {
      (void)parse_stored_config(yaml, "manifest.json");
      ADD_FAILURE() << "was read: " << yaml;
    } catch (const Error& e) {
      EXPECT_EQ(e.exit_code(), 4) << "it is the checkpoint that is unusable";
      EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
    }
  };
  EXPECT_EQ(parse_stored_config("output: ${env:HOME}", "manifest.json").output, "${env:HOME}");
  refused("model: {layers: 0}", "model.layers = 0 is outside");
  EXPECT_EQ(parse_stored_config("model: {layers: 3}", "manifest.json").model.layers, 3);
}

TEST(CheckLimits, HoldsAnArchitectureToTheLimitsOfTheKeys) {
  ModelConfig model;
  EXPECT_NO_THROW(check_limits(model, "config.json"));
  model.layers = 1 << 24;
  try {
    check_limits(model, "config.json");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()), "config.json: model.layers = 16777216 is outside [1, 1024]");
  }
}

}  // namespace weightscope

// What is left of a recording that fails.
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "train/recording.hpp"

namespace weightscope {
namespace {

std::vector<std::string> calls;
std::string failing;  // the call that throws

void call(const std::string& name) {
  calls.push_back(name);
  if (name == failing) throw std::runtime_error(name + " failed");
}

struct FakeGraph {
  void begin() { call("begin"); }
  void end() { call("end"); }
  void abandon() { call("abandon"); }
};
struct FakeExchange {
  void begin_recording() { call("begin_recording"); }
  std::int64_t end_recording() {
    call("end_recording");
    return 7;
  }
};

std::int64_t record_with(const std::string& failure) {
  calls.clear(), failing = failure;
  FakeGraph graph;
  FakeExchange exchange;
  return record(graph, exchange, [] { call("work"); });
}

TEST(Recording, CountsCollectives) {
  EXPECT_EQ(record_with(""), 7);
  EXPECT_EQ(calls, (std::vector<std::string>{"begin_recording", "begin", "work", "end", "end_recording"}));
}

class FailedRecording : public testing::TestWithParam<std::string> {};

TEST_P(FailedRecording, LeavesNothingUnderRecording) {
  try {
    record_with(GetParam());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::internal);
    const std::string said = error.what();
    EXPECT_NE(said.find(GetParam() + " failed"), std::string::npos) << said;
    EXPECT_NE(said.find("train.cuda_graphs: off"), std::string::npos) << said;
  }
  ASSERT_GE(calls.size(), 2U);
  EXPECT_EQ(calls[calls.size() - 2], "abandon") << "the stream first: watching asks it";
  EXPECT_EQ(calls.back(), "end_recording");
}

INSTANTIATE_TEST_SUITE_P(At, FailedRecording, testing::Values("begin", "work", "end"));

}  // namespace
}  // namespace weightscope

#include "train/time_limit.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace weightscope {
namespace {

using std::chrono::seconds;

class Limit : public testing::Test {
 protected:
  void SetUp() override { ::unsetenv("SLURM_JOB_END_TIME"); }
  void TearDown() override { ::unsetenv("SLURM_JOB_END_TIME"); }
  TimeLimit::Clock::time_point start = TimeLimit::Clock::from_time_t(1000000);
};

TEST_F(Limit, NoneByDefault) { EXPECT_FALSE(TimeLimit(start, 0).reached(start + seconds(1000000000), 1)); }

TEST_F(Limit, LeavesRoomForOneMoreStep) {
  const TimeLimit limit(start, 100);
  EXPECT_FALSE(limit.reached(start + seconds(89), 10));
  EXPECT_TRUE(limit.reached(start + seconds(91), 10));
}

TEST_F(Limit, TheEndOfTheSlurmJobCountsToo) {
  ::setenv("SLURM_JOB_END_TIME", "1005000", 1);
  EXPECT_FALSE(TimeLimit(start, 0, seconds(120)).reached(start + seconds(4879), 0));
  EXPECT_TRUE(TimeLimit(start, 0, seconds(120)).reached(start + seconds(4881), 0));
  EXPECT_TRUE(TimeLimit(start, 100, seconds(120)).reached(start + seconds(101), 0));
}

TEST_F(Limit, AShortSlurmJobIsNotAllMargin) {
  ::setenv("SLURM_JOB_END_TIME", "1000100", 1);
  EXPECT_FALSE(TimeLimit(start, 0, seconds(120)).reached(start + seconds(89), 0));
  EXPECT_TRUE(TimeLimit(start, 0, seconds(120)).reached(start + seconds(91), 0));
}

}  // namespace
}  // namespace weightscope

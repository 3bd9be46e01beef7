#include "app/cores.hpp"

#include <gtest/gtest.h>

namespace weightscope {
namespace {

std::vector<int> one_thread(int id) { return {id}; }
std::vector<int> two_threads(int id) { return {id % 4, id % 4 + 4}; }  // 4 cores, 8 processors

Processors on(const std::string& host, std::vector<int> ids) { return {host, std::move(ids)}; }

TEST(Cores, RanksWithoutBindingGetRunsOfCores) {
  const std::vector<Processors> all(2, on("a", {0, 1, 2, 3, 4}));
  const auto first = share_cores(all, 0, one_thread), second = share_cores(all, 1, one_thread);
  EXPECT_EQ(first.threads, 2);
  EXPECT_EQ(first.bind_to, (std::vector<int>{0, 1}));
  EXPECT_EQ(second.bind_to, (std::vector<int>{2, 3}));
}

TEST(Cores, BoundRanksKeepTheirCores) {
  const std::vector<Processors> all{on("a", {0, 1}), on("a", {2, 3}), on("b", {0, 1, 2})};
  for (int rank : {0, 1, 2}) {
    const auto share = share_cores(all, rank, one_thread);
    EXPECT_EQ(share.threads, static_cast<int>(all[static_cast<std::size_t>(rank)].ids.size()));
    EXPECT_TRUE(share.bind_to.empty());
  }
}

TEST(Cores, HardwareThreadsOfACoreCountOnce) {
  const std::vector<Processors> all(2, on("a", {0, 1, 2, 3, 4, 5, 6, 7}));
  const auto second = share_cores(all, 1, two_threads);
  EXPECT_EQ(second.threads, 2);
  EXPECT_EQ(second.bind_to, (std::vector<int>{2, 3, 6, 7}));
  const auto half = share_cores({on("a", {0, 4, 5})}, 0, two_threads);  // core 0, and half of core 1
  EXPECT_EQ(half.threads, 2);
}

TEST(Cores, MoreRanksThanCoresRunUnbound) {
  const std::vector<Processors> all(4, on("a", {0, 1}));
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(share_cores(all, rank, one_thread).threads, 1);
    EXPECT_TRUE(share_cores(all, rank, one_thread).bind_to.empty());
  }
}

}  // namespace
}  // namespace weightscope

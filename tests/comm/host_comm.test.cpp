#include "comm/host_comm.hpp"

#include <gtest/gtest.h>

namespace weightscope {

TEST(HostComm, BroadcastsTextsOfAnyLengthFromRankZero) {
  const auto host = HostComm::world();
  EXPECT_EQ(host.broadcast(host.is_root() ? std::string(100000, 'x') : "something else"),
            std::string(100000, 'x'));
  EXPECT_EQ(host.broadcast(host.is_root() ? "" : "longer"), "");
}

TEST(HostComm, GatherKeepsRankOrderAndUnequalSizes) {
  const auto host = HostComm::world();
  const auto all = host.gather(std::string(static_cast<std::size_t>(host.rank()) * 2, 'a'));
  ASSERT_EQ(all.size(), host.is_root() ? static_cast<std::size_t>(host.size()) : 0U);
  for (std::size_t r = 0; r < all.size(); ++r) EXPECT_EQ(all[r], std::string(2 * r, 'a'));
}

TEST(HostComm, SumsAndMaximaAreTheSameEverywhere) {
  const auto host = HostComm::world();
  const double P = host.size();
  EXPECT_EQ(host.sum(host.rank() + 1.0), P * (P + 1) / 2);
  EXPECT_EQ(host.max(std::int64_t{host.rank()}), host.size() - 1);
  std::vector<double> v{1, static_cast<double>(host.rank())};
  host.sum(v);
  EXPECT_EQ(v, (std::vector<double>{P, P * (P - 1) / 2}));
}

TEST(HostComm, OneNodeHoldsAllRanksOfThisTest) {
  const auto host = HostComm::world();
  EXPECT_EQ(host.local_size(), host.size());
  EXPECT_EQ(host.local_rank(), host.rank());
}

TEST(HostComm, FailureOfOneRankIsTheSameErrorOnAll) {
  const auto host = HostComm::world();
  const int bad = host.size() - 1;
  try {
    host.together([&] { require(host.rank() != bad, Fault::data, "shard 3 is missing"); });
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::data);
    EXPECT_EQ(e.scope(), Error::Scope::everywhere);
    EXPECT_EQ(std::string(e.what()),
              (bad == 0 ? "" : "rank " + std::to_string(bad) + ": ") + std::string("shard 3 is missing"));
  }
}

TEST(HostComm, TheSameFailureOnAllRanksIsSaidOnce) {
  const auto host = HostComm::world();
  try {
    host.agree(4, "no such file");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "no such file");
  }
  EXPECT_NO_THROW(host.agree(0, ""));
}

TEST(HostComm, ExceptionsThatAreNotOursAreInternal) {
  const auto host = HostComm::world();
  try {
    host.together([&] {
      if (host.is_root()) throw std::bad_alloc();
    });
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::internal);
  }
}

}  // namespace weightscope

// A watchdog that has nothing to say: what it says is in tests/system/test_faults.py, since it ends the job.
#include "comm/watchdog.hpp"

#include <gtest/gtest.h>

#include "comm/host_comm.hpp"

namespace weightscope {

TEST(Watchdog, LooksOnWhileManyCallsComeAndGo) {
  const auto world = HostComm::world();
  const std::atomic<int> no_signal{0};
  std::atomic<int> words{0};
  {
    const Watchdog watchdog(0.5, no_signal, [&] { return std::to_string(++words); });
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
    while (world.max(std::chrono::steady_clock::now() < end ? 1.0 : 0.0) > 0) const Wait wait("test", 8);
  }
  EXPECT_EQ(words, 0);
}

TEST(Watchdog, ComesAndGoes) {
  const std::atomic<int> no_signal{0};
  for (int i = 0; i < 50; ++i) {
    const Watchdog watchdog(300, no_signal, [] { return std::string(); });
    const Wait wait("test", 8);
  }
}

}  // namespace weightscope

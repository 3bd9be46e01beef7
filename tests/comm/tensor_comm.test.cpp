#include "comm/tensor_comm.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

namespace weightscope {

struct World {
  HostComm host = HostComm::world();
  TensorComm comm = TensorComm::make(host, Place::host, 0, 60);
  std::size_t size() const { return static_cast<std::size_t>(host.size()); }
  std::size_t rank() const { return static_cast<std::size_t>(host.rank()); }
};

Buffer of(std::vector<float>& x) {
  Buffer b;
  b.data = x.data(), b.count = x.size();
  return b;
}

/// Value of element i on rank r: nothing that rounds alike in two orders.
float value(std::size_t rank, std::size_t i) {
  return std::sin(static_cast<float>(i * 7 + rank * 131 + 1)) *
         std::exp2(static_cast<float>((i + 3 * rank) % 9));
}

TEST(TensorComm, MeanIsTheSameOnEveryRank) {
  World w;
  std::vector<float> g(1000);
  for (std::size_t i = 0; i < g.size(); ++i) g[i] = value(w.rank(), i);
  w.comm.all_reduce_mean(of(g));
  w.comm.wait(nullptr);
  for (std::size_t i = 0; i < g.size(); ++i) {
    double mean = 0;
    for (std::size_t r = 0; r < w.size(); ++r)
      mean += static_cast<double>(value(r, i)) / static_cast<double>(w.size());
    EXPECT_NEAR(static_cast<double>(g[i]), mean, 1e-4);
  }
}

TEST(TensorComm, BroadcastGivesRankZerosBytes) {
  World w;
  std::vector<float> x(257, static_cast<float>(w.rank()) + 1);
  w.comm.broadcast(of(x));
  EXPECT_EQ(x, std::vector<float>(257, 1.0F));
}

TEST(TensorComm, TreeSumIsTheFixedBinaryTreeBitForBit) {
  World w;
  std::vector<float> g(600000);  // more than two chunks
  for (std::size_t i = 0; i < g.size(); ++i) g[i] = value(w.rank(), i);
  if (!std::has_single_bit(w.size())) {
    EXPECT_THROW(w.comm.all_reduce_sum_tree(of(g)), Error);
    return;
  }
  w.comm.all_reduce_sum_tree(of(g));
  for (std::size_t i = 0; i < g.size(); ++i) {
    std::vector<float> level;
    for (std::size_t r = 0; r < w.size(); ++r) level.push_back(value(r, i));
    for (; level.size() > 1; level.resize(level.size() / 2))
      for (std::size_t k = 0; k < level.size() / 2; ++k) level[k] = level[2 * k] + level[2 * k + 1];
    ASSERT_EQ(g[i], level[0]) << i;
  }
}

TEST(TensorComm, ReduceScatterThenAllGatherIsAnAllReduce) {
  World w;
  const std::size_t n = 33;
  std::vector<float> a(n * w.size()), b(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = b[i] = value(w.rank(), i);
  w.comm.all_reduce_mean(of(a));
  Buffer mine = of(b);
  mine.data = b.data() + n * w.rank(), mine.count = n;
  w.comm.reduce_scatter_mean(of(b), mine);
  w.comm.all_gather(mine, of(b));
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4F);
}

TEST(TensorComm, NamesItsBackend) {
  World w;
  EXPECT_STREQ(w.comm.name(), w.size() == 1 ? "solo" : "mpi");
}

}  // namespace weightscope

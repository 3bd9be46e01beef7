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

TEST(TensorComm, BroadcastGivesTheOwnersBytes) {
  World w;
  for (std::size_t owner = 0; owner < w.size(); ++owner) {
    std::vector<float> x(257, static_cast<float>(w.rank()) + 1);
    w.comm.broadcast(of(x), static_cast<int>(owner));
    EXPECT_EQ(x, std::vector<float>(257, static_cast<float>(owner) + 1));
  }
}

/// Neighbours first, then neighbouring pairs and so on; one that has no neighbour goes up as it is.
float tree_sum(std::vector<float> level) {
  for (std::size_t step = 1; step < level.size(); step *= 2)
    for (std::size_t r = 0; r + step < level.size(); r += 2 * step) level[r] += level[r + step];
  return level[0];
}

/// To the nearest bf16, ties to even.
float rounded(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return std::bit_cast<float>((bits + 0x7fffU + (bits >> 16 & 1U)) & 0xffff0000U);
}

TEST(TensorComm, TreeSumIsTheFixedBinaryTreeBitForBit) {
  World w;
  for (const auto wire : {Wire::f32, Wire::bf16})
    for (const std::size_t n : {1UL, 2UL, 1000UL, (4UL << 20) + 77}) {  // the last: more than one chunk
      std::vector<float> g(n);
      for (std::size_t i = 0; i < n; ++i) g[i] = value(w.rank(), i);
      w.comm.all_reduce_sum_tree(of(g), wire);
      if (w.size() == 1) continue;
      for (std::size_t i = 0; i<n; i += n> 100000 ? 97 : 1) {
        std::vector<float> summands;
        for (std::size_t r = 0; r < w.size(); ++r)
          summands.push_back(wire == Wire::bf16 ? rounded(value(r, i)) : value(r, i));
        const float sum = tree_sum(summands);
        ASSERT_EQ(g[i], wire == Wire::bf16 ? rounded(sum) : sum) << i;
      }
    }
}

TEST(TensorComm, TreeSumOfAShardIsNotRounded) {
  World w;
  const std::size_t n = 1500000;  // more than one chunk from three ranks on
  for (const auto wire : {Wire::f32, Wire::bf16}) {
    std::vector<float> g(n * w.size());
    for (std::size_t i = 0; i < g.size(); ++i) g[i] = value(w.rank(), i);
    Buffer mine = of(g);
    mine.data = g.data() + n * w.rank(), mine.count = n;
    w.comm.reduce_scatter_sum_tree(of(g), mine, wire);
    if (w.size() == 1) continue;
    for (std::size_t i = n * w.rank(); i < n * (w.rank() + 1); i += 31) {
      std::vector<float> summands;
      for (std::size_t r = 0; r < w.size(); ++r)
        summands.push_back(wire == Wire::bf16 ? rounded(value(r, i)) : value(r, i));
      ASSERT_EQ(g[i], tree_sum(summands)) << i;
    }
  }
}

TEST(TensorComm, ReducingEachPartThenAllGatherIsAnAllReduce) {
  World w;
  const std::size_t n = 33;
  std::vector<float> a(n * w.size()), b(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = b[i] = value(w.rank(), i);
  w.comm.all_reduce_mean(of(a));
  Buffer mine = of(b);
  mine.data = b.data() + n * w.rank(), mine.count = n;
  for (std::size_t owner = 0; owner < w.size(); ++owner) {
    Buffer piece = of(b);
    piece.data = b.data() + n * owner, piece.count = n;
    w.comm.reduce_mean(piece, static_cast<int>(owner));
  }
  w.comm.all_gather(mine, of(b));
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4F);
}

TEST(TensorComm, NamesItsBackend) {
  World w;
  EXPECT_STREQ(w.comm.name(), w.size() == 1 ? "solo" : "mpi");
}

}  // namespace weightscope

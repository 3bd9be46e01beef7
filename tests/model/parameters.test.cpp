// Where parameters and shards lie in the flat buffers.
#include <gtest/gtest.h>

#include <algorithm>

#include "model/parameters.hpp"

namespace weightscope {
namespace {

struct Shape {
  const char* name;
  int layers, heads, width;
};

class FlatBuffer : public testing::TestWithParam<Shape> {
 protected:
  std::vector<Parameter> table() const {
    ModelConfig m;
    m.layers = GetParam().layers, m.heads = GetParam().heads, m.width = GetParam().width;
    m.vocab = 50257, m.block = 1024;
    return parameter_table(m);
  }
};

/// Kernels of the update read 16 bytes at a time, from the first element of a shard on.
TEST_P(FlatBuffer, ShardsAreAlignedAtAnyWorldSize) {
  const auto parameters = table();
  std::int64_t end = 0;
  for (const auto& p : parameters) end = std::max(end, p.offset + p.storage);
  for (const int world :
       {1, 2, 3, 4, 5, 7, 8, 12, 16, 24, 48, 64, 72, 96, 100, 128, 256, 384, 512, 1000, 1024}) {
    const auto size = flat_size(parameters, world);
    ASSERT_EQ(size % world, 0) << world;
    EXPECT_EQ(size / world % 64, 0) << world << " ranks: shards of " << size / world << " elements";
    EXPECT_GE(size, end);
    EXPECT_LT(size - end, std::int64_t{128} * world) << "no more is added than that takes";
  }
}

TEST_P(FlatBuffer, ParametersAreAlignedAndDoNotOverlap) {
  std::int64_t end = 0;
  auto parameters = table();
  std::ranges::sort(parameters, {}, &Parameter::offset);
  for (const auto& p : parameters) {
    EXPECT_EQ(p.offset % 64, 0) << p.name;
    EXPECT_GE(p.offset, end) << p.name;
    EXPECT_GE(p.storage, p.numel()) << p.name;
    end = p.offset + p.storage;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, FlatBuffer,
                         testing::Values(Shape{"tiny", 2, 2, 32}, Shape{"gpt2_124M", 12, 12, 768},
                                         Shape{"gpt2_1_5B", 48, 25, 1600}),
                         [](const auto& shape) { return shape.param.name; });

}  // namespace
}  // namespace weightscope

#include "data/loader.hpp"

#include "data/support.hpp"

namespace weightscope {

TEST(Loader, SequentialRowsAreThoseOfTheContract) {
  // Step t, row r of the global batch reads tokens [(t·B + r)·block, + block), targets shifted by one.
  const Scratch scratch;
  const auto file = TokenFile::open(counting_file(scratch, 1000));
  const std::int64_t B = 4, T = 10;
  Loader loader(file, Sampler(99, false, 0), {B, T, 0, 1}, 3);
  for (std::int64_t t = 3; t < 8; ++t) {
    const auto& batch = loader.next();
    for (std::int64_t r = 0; r < B; ++r)
      for (std::int64_t i = 0; i < T; ++i) {
        EXPECT_EQ(batch.tokens[static_cast<std::size_t>(r * T + i)], (t * B + r) * T + i);
        EXPECT_EQ(batch.targets[static_cast<std::size_t>(r * T + i)], (t * B + r) * T + i + 1);
      }
  }
}

TEST(Loader, AnyNumberOfRanksReadsTheSameGlobalBatch) {
  const Scratch scratch;
  const auto file = TokenFile::open(counting_file(scratch, 5000));
  const Sampler sampler(499, true, 7);
  const std::int64_t B = 8, T = 10;
  for (const int world : {1, 2, 4}) {
    std::vector<std::int64_t> joined, whole;
    for (int rank = 0; rank < world; ++rank) {
      Loader loader(file, sampler, {B, T, rank, world}, 0);
      loader.next();
      const auto& batch = loader.next();
      joined.insert(joined.end(), batch.tokens.begin(), batch.tokens.end());
    }
    Batch direct;
    read_rows(file, sampler, static_cast<std::uint64_t>(B), B, T, direct);
    EXPECT_EQ(joined, direct.tokens) << world;
  }
}

TEST(Loader, StopsWhileABatchIsBeingFilled) {
  const Scratch scratch;
  const auto file = TokenFile::open(counting_file(scratch, 50000));
  for (int i = 0; i < 50; ++i) Loader(file, Sampler(49, true, 7), {64, 1000, 0, 1}, i);
}

}  // namespace weightscope

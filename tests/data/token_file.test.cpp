#include <sys/stat.h>

#include "data/support.hpp"

namespace weightscope {

void expect_refused(const std::filesystem::path& path, const std::string& why) {
  try {
    TokenFile::open(path);
    FAIL() << "was read: " << why;
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), 3);
    EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find(path.string()), std::string::npos) << e.what();
  }
}

TEST(TokenFile, ReadsTheFormatOfLlmC) {
  const Scratch scratch;
  const auto file = TokenFile::open(counting_file(scratch, 1000));
  ASSERT_EQ(file.tokens().size(), 1000U);
  EXPECT_EQ(file.tokens()[999], 999);
}

TEST(TokenFile, ReadsAFileMadeElsewhere) {
  const auto file = TokenFile::open(WEIGHTSCOPE_TEST_ORACLE "/seq_small/tokens.bin");
  EXPECT_EQ(file.tokens().size(), 7937U);
  EXPECT_NO_THROW(file.check_ids(256));
}

TEST(TokenFile, ReadsHeaderlessFilesThatMetaJsonVouchesFor) {
  const Scratch scratch;
  write_bytes(scratch / "train.bin", ids({7, 8, 9}));
  expect_refused(scratch / "train.bin", "is no token file");
  write_bytes(scratch / "meta.json", "{\"vocab_size\": 10}");
  EXPECT_EQ(TokenFile::open(scratch / "train.bin").tokens()[2], 9);
  write_bytes(scratch / "train.bin", ids({7, 8, 9}) + "x");
  expect_refused(scratch / "train.bin", "odd number of bytes");
}

TEST(TokenFile, RefusesDamagedFiles) {
  const Scratch scratch;
  const auto path = scratch / "t.bin";
  expect_refused(path, "does not exist");
  expect_refused(scratch.path(), "is a directory");
  write_bytes(path, "");
  expect_refused(path, "is empty");
  write_bytes(path, header(20240520, 1, 3).substr(0, 100));
  expect_refused(path, "ends within its header");
  write_bytes(path, header(20240520, 2, 3) + ids({1, 2, 3}));
  expect_refused(path, "version 2");
  write_bytes(path, header(20240520, 1, 4) + ids({1, 2, 3}));
  expect_refused(path, "promises 4 tokens, the file holds 3");
  write_bytes(path, header(20240520, 1, 2) + ids({1, 2, 3}));
  expect_refused(path, "promises 2 tokens, the file holds 3");
  write_bytes(path, header(20240520, 1, -5) + ids({1}));
  expect_refused(path, "promises -5 tokens");
  write_bytes(path, header(20240520, 1, 3) + ids({1, 2, 3}) + "x");
  expect_refused(path, "truncated or overlong");
}

TEST(TokenFile, DoesNotWaitForPipesNorBelieveAMetaJsonThatIsNone) {
  const Scratch scratch;
  ASSERT_EQ(::mkfifo((scratch / "pipe").c_str(), 0600), 0);
  expect_refused(scratch / "pipe", "is not a file");
  const auto path = scratch / "train.bin";
  write_bytes(path, ids({7, 8, 9}));
  for (const std::string meta : {"", "[]", "{\"vocab_size\"", "{}", "\"vocab_size\"", "\xff"}) {
    write_bytes(scratch / "meta.json", meta);
    expect_refused(path, "is no token file");
  }
  std::filesystem::remove(scratch / "meta.json");
  ASSERT_EQ(::mkfifo((scratch / "meta.json").c_str(), 0600), 0);
  try {
    TokenFile::open(path);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), 3);
  }
}

TEST(TokenFile, NamesTheFirstIdBeyondTheVocabulary) {
  const Scratch scratch;
  const auto file = TokenFile::open(counting_file(scratch, 300));
  EXPECT_NO_THROW(file.check_ids(300));
  try {
    file.check_ids(256);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("token 256 has id 256, but model.vocab = 256"), std::string::npos)
        << e.what();
  }
}

}  // namespace weightscope

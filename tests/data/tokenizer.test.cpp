#include "data/tokenizer.hpp"

#include <nlohmann/json.hpp>

#include "core/file_io.hpp"
#include "data/support.hpp"

namespace weightscope {

std::string sample_text() {
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += "In the beginning  was line " + std::to_string(i * 7919 % 1000) +
            ",\n\tand the word ü was \"odd\" & even.\n";
  return text;
}

TEST(Tokenizer, BytesRoundTrip) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  const auto bytes = Tokenizer::make("byte");
  EXPECT_EQ(bytes.vocab(), 256);
  EXPECT_EQ(bytes.decode(bytes.encode(all)), all);
}

TEST(Prepare, SplitsAtALineAndDescribesItself) {
  const Scratch scratch;
  const auto text = sample_text();
  write_bytes(scratch / "a.txt", text);
  const auto made = prepare("byte", {scratch / "a.txt"}, scratch / "out", 0.1);
  EXPECT_EQ(made.train_tokens + made.val_tokens, text.size());
  EXPECT_NEAR(static_cast<double>(made.val_tokens), 0.1 * static_cast<double>(text.size()), 100);
  const auto train = TokenFile::open(scratch / "out/train.bin"),
             val = TokenFile::open(scratch / "out/val.bin");
  EXPECT_EQ(train.tokens().back(), '\n');
  const auto bytes = Tokenizer::make("byte");
  EXPECT_EQ(bytes.decode({train.tokens().begin(), train.tokens().end()}) +
                bytes.decode({val.tokens().begin(), val.tokens().end()}),
            text);
  const auto meta = nlohmann::json::parse(read_file(scratch / "out/meta.json", Fault::data));
  EXPECT_EQ(meta["vocab_size"], 256);
  EXPECT_EQ(meta["sources"][0]["bytes"], text.size());
}

/// What `prepare` keeps for validation of a text.
std::string validation_part(const Scratch& scratch, const std::string& text, double fraction) {
  write_bytes(scratch / "a.txt", text);
  const auto made = prepare("byte", {scratch / "a.txt"}, scratch / "out", fraction);
  EXPECT_EQ(made.train_tokens + made.val_tokens, text.size());
  EXPECT_GT(made.train_tokens, 0U);
  if (made.val_tokens == 0) return "";
  const auto val = TokenFile::open(scratch / "out/val.bin");
  return Tokenizer::make("byte").decode({val.tokens().begin(), val.tokens().end()});
}

TEST(Prepare, SplitsALongLineBetweenCharacters) {
  const Scratch scratch;
  EXPECT_EQ(validation_part(scratch, std::string(99, 'a') + "\n", 0.1), std::string(9, 'a') + "\n");
  EXPECT_EQ(validation_part(scratch, "one\ntwo\n" + std::string(92, 'a'), 0.1), std::string(10, 'a'));
  std::string euros;  // three bytes each
  for (int i = 0; i < 35; ++i) euros += "\u20ac";
  EXPECT_EQ(validation_part(scratch, euros, 0.1), euros.substr(31 * 3)) << "94 is within the 32nd";
  EXPECT_EQ(validation_part(scratch, euros + "\n", 0.1), euros.substr(31 * 3) + "\n");
  EXPECT_EQ(validation_part(scratch, std::string(100, '\x80'), 0.1).size(), 10U) << "no character begins";
  EXPECT_EQ(validation_part(scratch, "\u20ac", 0.5), "") << "it cannot be divided";
  EXPECT_EQ(validation_part(scratch, "a", 0.5), "");
  EXPECT_EQ(validation_part(scratch, "\n", 0.5), "");
}

TEST(Prepare, WithoutAValidationPartLeavesNoneOfAnEarlierCall) {
  const Scratch scratch;
  write_bytes(scratch / "a.txt", sample_text());
  prepare("byte", {scratch / "a.txt"}, scratch / "out", 0.1);
  ASSERT_TRUE(is_there(scratch / "out/val.bin"));
  prepare("byte", {scratch / "a.txt"}, scratch / "out", 0);
  EXPECT_FALSE(is_there(scratch / "out/val.bin"));
}

TEST(Prepare, DescribesTextsWhoseNamesAreNotUtf8) {
  const Scratch scratch;
  write_bytes(scratch / "caf\xe9.txt", "text\n");
  prepare("byte", {scratch / "caf\xe9.txt"}, scratch / "out", 0);
  const auto meta = nlohmann::json::parse(read_file(scratch / "out/meta.json", Fault::data));
  EXPECT_EQ(meta["sources"][0]["file"], "caf\ufffd.txt");
}

TEST(Prepare, ATextThatCannotBeReadToItsEndIsAnError) {
  const Scratch scratch;
  try {
    prepare("byte", {"/proc/self/mem"}, scratch / "out", 0);  // opens, and has nothing at address 0: EIO
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), 3);
    EXPECT_STREQ(e.what(), "cannot read /proc/self/mem: Input/output error");
  }
}

TEST(Prepare, TrainsASentencePieceModelThatRoundTrips) {
  const Scratch scratch;
  const auto text = sample_text();
  write_bytes(scratch / "a.txt", text);
  const auto made = prepare("train:bpe:400", {scratch / "a.txt"}, scratch / "out", 0);
  EXPECT_LE(made.vocab, 400);
  EXPECT_LT(made.train_tokens, text.size() * 2 / 3) << "nothing was merged";
  const auto tokenizer = Tokenizer::make(made.tokenizer);
  const auto train = TokenFile::open(scratch / "out/train.bin");
  EXPECT_EQ(tokenizer.decode({train.tokens().begin(), train.tokens().end()}), text);
}

TEST(Prepare, RefusesWhatIsNoText) {
  const Scratch scratch;
  const auto code = [&](const std::string& tokenizer, const std::string& file) {
    try {
      prepare(tokenizer, {scratch / file}, scratch / "out", 0.1);
      return 0;
    } catch (const Error& e) {
      return e.exit_code();
    }
  };
  write_bytes(scratch / "empty.txt", "");
  write_bytes(scratch / "a.txt", "text\n");
  EXPECT_EQ(code("byte", "missing.txt"), 3);
  EXPECT_EQ(code("byte", "empty.txt"), 3);
  EXPECT_EQ(code("words", "a.txt"), 2);
  EXPECT_EQ(code("train:bpe:12", "a.txt"), 2);
  EXPECT_EQ(code("sentencepiece:/nonexistent", "a.txt"), 3);
  write_bytes(scratch / "rubbish.model", "not a model");
  EXPECT_EQ(code("sentencepiece:" + (scratch / "rubbish.model").string(), "a.txt"), 3);
  EXPECT_EQ(code("sentencepiece:" + scratch.path().string(), "a.txt"), 3);
  EXPECT_EQ(code("sentencepiece:/dev/zero", "a.txt"), 3);
  write_bytes(scratch / "huge.model", "\n");
  std::filesystem::resize_file(scratch / "huge.model", std::uintmax_t{1} << 30);
  EXPECT_EQ(code("sentencepiece:" + (scratch / "huge.model").string(), "a.txt"), 3);
}

}  // namespace weightscope

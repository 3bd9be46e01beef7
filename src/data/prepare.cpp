#include <sentencepiece_trainer.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/file_io.hpp"
#include "core/hash.hpp"
#include "data/tokenizer.hpp"

namespace weightscope {
namespace {

constexpr std::size_t kHeaderInts = 256;

void write_tokens(const std::filesystem::path& path, const std::vector<std::uint16_t>& tokens) {
  require(tokens.size() < (std::size_t{1} << 31), Fault::data,
          path.string() + " would hold more than 2^31 tokens; prepare the texts in parts");
  std::vector<std::byte> bytes(kHeaderInts * 4 + tokens.size() * 2);
  const std::int32_t header[3] = {20240520, 1, static_cast<std::int32_t>(tokens.size())};
  std::memcpy(bytes.data(), header, sizeof header);
  std::memcpy(bytes.data() + kHeaderInts * 4, tokens.data(), tokens.size() * 2);
  write_file_atomically(path, bytes);
}

/// "train:bpe:VOCAB" → a model in DIR/tokenizer.model. Lossless: no normalization, whitespace kept, unknown
/// bytes spelled out.
std::string train_tokenizer(const std::string& spec, const std::vector<std::filesystem::path>& texts,
                            const std::filesystem::path& out) {
  constexpr std::string_view kPrefix = "train:bpe:";
  int vocab = 0;
  const auto number = spec.substr(kPrefix.size());
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), vocab);
  require(error == std::errc() && end == number.data() + number.size() && vocab >= 300 && vocab <= 65536,
          Fault::config,
          "tokenizer " + spec + ": the vocabulary must be 300 to 65536 pieces (256 of them are bytes)");
  std::string inputs;
  for (const auto& text : texts) inputs += (inputs.empty() ? "" : ",") + text.string();
  const auto prefix = (out / "tokenizer").string();
  const auto status = sentencepiece::SentencePieceTrainer::Train({{"input", inputs},
                                                                  {"model_prefix", prefix},
                                                                  {"vocab_size", number},
                                                                  {"model_type", "bpe"},
                                                                  {"byte_fallback", "true"},
                                                                  {"character_coverage", "1.0"},
                                                                  {"normalization_rule_name", "identity"},
                                                                  {"remove_extra_whitespaces", "false"},
                                                                  {"add_dummy_prefix", "false"},
                                                                  {"max_sentence_length", "1000000"},
                                                                  {"input_sentence_size", "2000000"},
                                                                  {"shuffle_input_sentence", "false"},
                                                                  {"user_defined_symbols", "\n"},
                                                                  {"num_threads", "2"},
                                                                  {"minloglevel", "2"},
                                                                  {"bos_id", "-1"},
                                                                  {"eos_id", "-1"}});
  require(status.ok(), Fault::data, "training the tokenizer failed: " + status.ToString());
  std::filesystem::remove(prefix + ".vocab");
  return "sentencepiece:" + prefix + ".model";
}

/// Where the character of UTF-8 begins that has the byte `at`; `at` itself in what is not UTF-8.
std::size_t start_of_character(const std::string& text, std::size_t at) {
  constexpr std::size_t kLongest = 4;
  for (std::size_t back = 0; back < kLongest && back <= at; ++back)
    if ((static_cast<unsigned char>(text[at - back]) & 0xc0) != 0x80) return at - back;
  return at;
}

/// Where the validation part begins: at a line, near the wanted fraction; within a line if none begins after
/// that. Something is left to train on.
std::size_t split_point(const std::string& text, double val_fraction) {
  if (val_fraction == 0) return text.size();
  const auto wanted = static_cast<std::size_t>(static_cast<double>(text.size()) * (1 - val_fraction));
  const auto newline = text.find('\n', wanted);
  if (newline != std::string::npos && newline + 1 < text.size()) return newline + 1;
  const auto cut = start_of_character(text, wanted);
  return cut > 0 ? cut : text.size();
}

/// Made where there was none, and gone again at the end if nothing was put into it.
class NewDirectory {
 public:
  explicit NewDirectory(const std::filesystem::path& path) : path_(path), made_(!is_there(path)) {
    make_directories(path);
  }
  NewDirectory(const NewDirectory&) = delete;
  NewDirectory& operator=(const NewDirectory&) = delete;
  ~NewDirectory() {
    std::error_code not_empty;
    if (made_) std::filesystem::remove(path_, not_empty);
  }

 private:
  std::filesystem::path path_;
  bool made_;
};

}  // namespace

Prepared prepare(const std::string& tokenizer, const std::vector<std::filesystem::path>& texts,
                 const std::filesystem::path& out, double val_fraction) {
  nlohmann::ordered_json sources = nlohmann::ordered_json::array();
  std::vector<std::string> contents;
  for (const auto& path : texts) {
    contents.push_back(read_file(path, Fault::data));
    require(!contents.back().empty(), Fault::data, path.string() + " is empty");
    sources.push_back({{"file", path.filename().string()},
                       {"bytes", contents.back().size()},
                       {"crc32c", hex(crc32c(std::as_bytes(std::span(contents.back()))))}});
  }
  const NewDirectory directory(out);
  const auto spec = tokenizer.starts_with("train:bpe:") ? train_tokenizer(tokenizer, texts, out) : tokenizer;
  const auto made = Tokenizer::make(spec);
  std::vector<std::uint16_t> train, val;
  const auto append = [&](std::vector<std::uint16_t>& to, const std::string& text) {
    const auto ids = made.encode(text);
    to.insert(to.end(), ids.begin(), ids.end());
  };
  for (const auto& text : contents) {
    const auto cut = split_point(text, val_fraction);
    append(train, text.substr(0, cut));
    append(val, text.substr(cut));
  }
  write_tokens(out / "train.bin", train);
  if (!val.empty())
    write_tokens(out / "val.bin", val);
  else
    remove_file(out / "val.bin");  // what an earlier call put there may be training text now
  const Prepared result{train.size(), val.size(), made.vocab(), spec};
  const nlohmann::ordered_json meta{{"tokenizer", spec},        {"vocab_size", result.vocab},
                                    {"dtype", "uint16"},        {"train_tokens", train.size()},
                                    {"val_tokens", val.size()}, {"val_fraction", val_fraction},
                                    {"sources", sources}};
  // Names of files need not be UTF-8.
  write_file_atomically(out / "meta.json",
                        meta.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  return result;
}

}  // namespace weightscope

#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace weightscope {

/// Text to token ids and back. Bytes (vocabulary 256) or a SentencePiece model.
class Tokenizer {
 public:
  /// "byte" or "sentencepiece:FILE". Throws Error{data} for a file that is no model.
  static Tokenizer make(const std::string& spec);
  std::vector<std::uint16_t> encode(const std::string& text) const;
  std::string decode(const std::vector<std::uint16_t>& ids) const;
  int vocab() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// What `weightscope prepare` did; also written to meta.json.
struct Prepared {
  std::uint64_t train_tokens = 0, val_tokens = 0;
  int vocab = 0;
  std::string tokenizer;
};

/// Texts → DIR/train.bin, DIR/val.bin (the last `val_fraction` of each text; where that is nothing there will
/// be no such file), DIR/meta.json, DIR/tokenizer.model. tokenizer: "byte", "sentencepiece:FILE", or
/// "train:bpe:VOCAB" which first trains a SentencePiece model on the texts. Throws Error{data} for unreadable
/// or empty texts, Error{output} for DIR.
Prepared prepare(const std::string& tokenizer, const std::vector<std::filesystem::path>& texts,
                 const std::filesystem::path& out, double val_fraction);

}  // namespace weightscope

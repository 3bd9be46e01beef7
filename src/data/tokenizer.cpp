#include "data/tokenizer.hpp"

#include <sentencepiece_processor.h>

#include "core/error.hpp"
#include "core/file_io.hpp"
#include "core/mapped_file.hpp"

namespace weightscope {

constexpr std::uint64_t kLargestModel = std::uint64_t{16} << 20;  // 65536 pieces of 256 bytes
constexpr char kFirstPiece = '\x0a';                              // protobuf: field 1, a message

/// Null processor: bytes.
struct Tokenizer::Impl {
  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor;
};

Tokenizer Tokenizer::make(const std::string& spec) {
  auto impl = std::make_shared<Impl>();
  constexpr std::string_view kPrefix = "sentencepiece:";
  if (spec.starts_with(kPrefix)) {
    const auto path = spec.substr(kPrefix.size());
    require(is_there(path), Fault::data, path + " does not exist; a SentencePiece model was expected");
    // The library believes what it reads: it gets nothing that is large or does not begin with a list of
    // pieces.
    const auto model = read_small_file(path, Fault::data, kLargestModel);
    require(model.starts_with(kFirstPiece), Fault::data, path + " is no SentencePiece model");
    impl->processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
    const auto status = impl->processor->LoadFromSerializedProto(model);
    require(status.ok(), Fault::data, path + " is no SentencePiece model");
    require(impl->processor->GetPieceSize() <= 65536, Fault::data,
            path + " has more than 65536 pieces; token files hold 16-bit ids");
  } else {
    require(spec == "byte", Fault::config,
            "tokenizer " + spec + " is not byte, sentencepiece:FILE or train:bpe:VOCAB");
  }
  Tokenizer tokenizer;
  tokenizer.impl_ = std::move(impl);
  return tokenizer;
}

std::vector<std::uint16_t> Tokenizer::encode(const std::string& text) const {
  std::vector<std::uint16_t> ids;
  if (impl_->processor == nullptr) {
    ids.reserve(text.size());
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::vector<int> pieces;
  const auto status = impl_->processor->Encode(text, &pieces);
  require(status.ok(), Fault::data, "the text cannot be tokenized: " + status.ToString());
  ids.assign(pieces.begin(), pieces.end());
  return ids;
}

std::string Tokenizer::decode(const std::vector<std::uint16_t>& ids) const {
  std::string text;
  if (impl_->processor == nullptr) {
    for (const auto id : ids) text += static_cast<char>(id);
    return text;
  }
  const auto status = impl_->processor->Decode(std::vector<int>(ids.begin(), ids.end()), &text);
  require(status.ok(), Fault::data, "the tokens cannot be turned into text: " + status.ToString());
  return text;
}

int Tokenizer::vocab() const { return impl_->processor == nullptr ? 256 : impl_->processor->GetPieceSize(); }

}  // namespace weightscope

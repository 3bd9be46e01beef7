#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace weightscope {

/// A memory-mapped file of uint16 tokens: llm.c's format (256 × int32 header, magic 20240520, version 1,
/// token count) or a headerless one with meta.json beside it. Opening checks lengths; check_ids reads the
/// file once.
class TokenFile {
 public:
  /// Throws Error{data} naming the path: missing, truncated, wrong magic, odd size, no tokens.
  static TokenFile open(const std::filesystem::path& path);
  /// The one at the key data.train; Error{config} when that is "".
  static TokenFile open_training_data(const std::string& path);
  /// How many blocks of `block` tokens with their targets there are; throws Error{data} when there is none.
  std::size_t blocks(std::int64_t block) const;
  /// Throws Error{data} naming path, position and id of the first token >= vocab.
  void check_ids(int vocab) const;
  std::span<const std::uint16_t> tokens() const { return tokens_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::shared_ptr<const void> mapping_;
  std::span<const std::uint16_t> tokens_;
};

}  // namespace weightscope

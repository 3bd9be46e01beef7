#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace weightscope {

/// A memory-mapped file of uint16 tokens: llm.c's format (256 × int32 header, magic 20240520, version 1,
/// token count) or a headerless one with meta.json beside it. Opening checks lengths; check_ids reads the
/// file once.
class TokenFile {
 public:
  /// Throws Error{data} naming the path: missing, truncated, wrong magic, odd size, no tokens.
  static TokenFile open(const std::filesystem::path& path);
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

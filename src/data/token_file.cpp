#include "data/token_file.hpp"

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.hpp"
#include "core/file_io.hpp"
#include "core/mapped_file.hpp"

namespace weightscope {
namespace {

constexpr std::size_t kHeader = 256 * sizeof(std::int32_t);
constexpr std::int32_t kMagic = 20240520, kVersion = 1;

/// Mapped, and not empty.
MappedFile map_tokens(const std::filesystem::path& path) {
  std::error_code unknown;
  require(!std::filesystem::is_directory(path, unknown), Fault::data,
          path.string() + " is a directory, not a token file");
  require(is_there(path), Fault::data,
          path.string() + " does not exist; weightscope prepare makes token files");
  auto file = map_file(path, Fault::data);
  require(!file.bytes.empty(), Fault::data, path.string() + " is empty");
  return file;
}

/// Headerless files hold nothing that tells them apart from noise: meta.json beside them must vouch for them.
bool meta_vouches(const std::filesystem::path& path) {
  const auto meta = path.parent_path() / "meta.json";
  if (!is_there(meta)) return false;
  const auto json =
      nlohmann::json::parse(read_json_text(meta, Fault::data), nullptr, /*allow_exceptions=*/false);
  return json.is_object() && (json.contains("vocab_size") || json.contains("vocab"));
}

}  // namespace

TokenFile TokenFile::open(const std::filesystem::path& path) {
  const auto mapping = map_tokens(path);
  const auto fail = [&](const std::string& why) { throw Error(Fault::data, path.string() + " " + why); };
  const auto* bytes = mapping.bytes.data();
  const auto size = mapping.bytes.size();
  std::array<std::int32_t, 3> header{};
  if (size >= sizeof header) std::memcpy(header.data(), bytes, sizeof header);
  std::size_t begin = 0;
  if (header[0] == kMagic) {
    begin = kHeader;
    if (size < kHeader) fail("is truncated: it ends within its header");
    if (header[1] != kVersion)
      fail("has version " + std::to_string(header[1]) + "; only version 1 (16-bit tokens) can be read");
    const auto promised = static_cast<std::int64_t>(header[2]),
               held = static_cast<std::int64_t>((size - kHeader) / 2);
    if (promised < 1) fail("promises " + std::to_string(promised) + " tokens");
    if (held != promised || (size - kHeader) % 2 != 0)
      fail("is truncated or overlong: its header promises " + std::to_string(promised) +
           " tokens, the file holds " + std::to_string(held));
  } else if (!meta_vouches(path)) {
    fail(
        "is no token file: it has neither the header of one (magic 20240520) nor a meta.json with vocab_size "
        "beside it");
  } else if (size % 2 != 0) {
    fail("is truncated: an odd number of bytes cannot hold 16-bit tokens");
  }
  TokenFile file;
  file.path_ = path;
  file.mapping_ = mapping.owner;
  file.tokens_ = {reinterpret_cast<const std::uint16_t*>(bytes + begin), (size - begin) / 2};
  return file;
}

TokenFile TokenFile::open_training_data(const std::string& path) {
  require(!path.empty(), Fault::config, "data.train is not set: a token file to train on");
  return open(path);
}

std::size_t TokenFile::blocks(std::int64_t block) const {
  require(static_cast<std::int64_t>(tokens_.size()) > block, Fault::data,
          path_.string() + " holds " + std::to_string(tokens_.size()) +
              " tokens, fewer than one block of model.block = " + std::to_string(block) + " and its target");
  return (tokens_.size() - 1) / static_cast<std::size_t>(block);
}

void TokenFile::check_ids(int vocab) const {
  for (std::size_t i = 0; i < tokens_.size(); ++i)
    if (tokens_[i] >= vocab)
      throw Error(Fault::data, path_.string() + ": token " + std::to_string(i) + " has id " +
                                   std::to_string(tokens_[i]) + ", but model.vocab = " +
                                   std::to_string(vocab) + " (the file was made with another tokenizer)");
  release_pages(std::as_bytes(tokens_));
}

}  // namespace weightscope

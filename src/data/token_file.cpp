#include "data/token_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.hpp"
#include "core/file_io.hpp"

namespace weightscope {
namespace {

constexpr std::size_t kHeader = 256 * sizeof(std::int32_t);
constexpr std::int32_t kMagic = 20240520, kVersion = 1;

struct Mapping {
  std::shared_ptr<const void> data;
  std::size_t bytes = 0;
};

Mapping map_file(const std::filesystem::path& path) {
  require(!std::filesystem::is_directory(path), Fault::data,
          path.string() + " is a directory, not a token file");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require(fd >= 0, Fault::data,
          system_message("cannot open", path.string()) + "; weightscope prepare makes token files");
  struct stat info {};
  const bool known = ::fstat(fd, &info) == 0;
  const auto bytes = static_cast<std::size_t>(known ? info.st_size : 0);
  void* data = bytes > 0 ? ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
  ::close(fd);
  require(bytes > 0, Fault::data, path.string() + " is empty");
  require(data != MAP_FAILED, Fault::data, system_message("cannot map", path.string()));
  return {
      std::shared_ptr<const void>(data, [bytes](const void* p) { ::munmap(const_cast<void*>(p), bytes); }),
      bytes};
}

/// Headerless files hold nothing that tells them apart from noise: meta.json beside them must vouch for them.
bool meta_vouches(const std::filesystem::path& path) {
  const auto meta = path.parent_path() / "meta.json";
  if (!std::filesystem::exists(meta)) return false;
  const auto json = nlohmann::json::parse(read_file(meta, Fault::data), nullptr, /*allow_exceptions=*/false);
  return json.is_object() && (json.contains("vocab_size") || json.contains("vocab"));
}

}  // namespace

TokenFile TokenFile::open(const std::filesystem::path& path) {
  const auto mapping = map_file(path);
  const auto fail = [&](const std::string& why) { throw Error(Fault::data, path.string() + " " + why); };
  const auto* bytes = static_cast<const std::byte*>(mapping.data.get());
  std::array<std::int32_t, 3> header{};
  if (mapping.bytes >= sizeof header) std::memcpy(header.data(), bytes, sizeof header);
  std::size_t begin = 0;
  if (header[0] == kMagic) {
    begin = kHeader;
    if (mapping.bytes < kHeader) fail("is truncated: it ends within its header");
    if (header[1] != kVersion)
      fail("has version " + std::to_string(header[1]) + "; only version 1 (16-bit tokens) can be read");
    const auto promised = static_cast<std::int64_t>(header[2]),
               held = static_cast<std::int64_t>((mapping.bytes - kHeader) / 2);
    if (promised < 1) fail("promises " + std::to_string(promised) + " tokens");
    if (held != promised || (mapping.bytes - kHeader) % 2 != 0)
      fail("is truncated or overlong: its header promises " + std::to_string(promised) +
           " tokens, the file holds " + std::to_string(held));
  } else if (!meta_vouches(path)) {
    fail(
        "is no token file: it has neither the header of one (magic 20240520) nor a meta.json with vocab_size "
        "beside it");
  } else if (mapping.bytes % 2 != 0) {
    fail("is truncated: an odd number of bytes cannot hold 16-bit tokens");
  }
  TokenFile file;
  file.path_ = path;
  file.mapping_ = mapping.data;
  file.tokens_ = {reinterpret_cast<const std::uint16_t*>(bytes + begin), (mapping.bytes - begin) / 2};
  return file;
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

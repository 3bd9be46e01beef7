#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "core/error.hpp"

namespace weightscope {

/// A regular file mapped read-only for as long as `owner` or a copy of it lives. Anything else (a directory,
/// a pipe that nobody writes to, a device) is refused without waiting for it. Error{fault} naming the path.
struct MappedFile {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};
MappedFile map_file(const std::filesystem::path& path, Fault fault);

/// A regular file as text, whose size is looked at before it is read. Error{fault} naming the path.
std::string read_small_file(const std::filesystem::path& path, Fault fault, std::uint64_t most_bytes);

/// A JSON file from anywhere, fit for a parser: not larger, more deeply nested or with more values than any
/// that this program writes, because parsers take a multiple of the text's memory, and printing and comparing
/// recurse. Whether it is JSON at all is left to the parser. Error{fault} naming the path.
std::string read_json_text(const std::filesystem::path& path, Fault fault);

}  // namespace weightscope

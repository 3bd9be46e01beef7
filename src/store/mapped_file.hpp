#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace weightscope {

/// A file mapped read-only for as long as `owner` or a copy of it lives. Error{input} naming the path.
struct MappedFile {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};
MappedFile map_file(const std::filesystem::path& path);

}  // namespace weightscope

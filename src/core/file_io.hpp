#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "core/error.hpp"

namespace weightscope {

/// The whole file, or pipe. Throws Error{fault} naming the path, also when it is longer than `most_bytes`.
std::string read_file(const std::filesystem::path& path, Fault fault, std::uint64_t most_bytes = UINT64_MAX);

/// Whether there is such a file or directory, as far as this process can tell. A name that is too long, or a
/// folder that may not be looked into, is not there: std::filesystem::exists would throw.
bool is_there(const std::filesystem::path& path) noexcept;

/// Replaces `path` so that a crash at any moment leaves either the old file or the new one: temporary name in
/// the same folder, write, fsync, rename, fsync of the folder. Throws Error{output}.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::filesystem::path& path, const std::string& text);

/// fsync of a file or of a folder (after a rename in it). Throws Error{output}.
void sync_path(const std::filesystem::path& path);

/// rename(2) followed by fsync of the target's folder. Throws Error{output}. renamed: called in between,
/// where it matters which of them failed.
void rename_durably(
    const std::filesystem::path& from, const std::filesystem::path& to,
    const std::function<void()>& renamed = [] {});

/// Removes a file that may not exist. Throws Error{output}.
void remove_file(const std::filesystem::path& path);

/// mkdir -p. Throws Error{output}.
void make_directories(const std::filesystem::path& path);

/// Tells the system that a part of a memory-mapped, unmodified file will not be read again soon: its pages
/// stop counting as this process's memory (they may stay in the page cache).
void release_pages(std::span<const std::byte> mapped);

}  // namespace weightscope

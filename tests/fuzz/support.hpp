#pragma once
// What the fuzz targets share. A target feeds bytes to a parser of the program and aborts when anything comes
// out that its description does not promise; libFuzzer keeps the bytes.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace weightscope::fuzz {

/// Ends the process with `what` unless `holds`.
void expect(bool holds, std::string_view what);

/// Runs `parse`. True when it returned; false when it threw Error with one of `allowed`; any other exception,
/// and an Error without a text, ends the process.
bool accepts(std::initializer_list<Fault> allowed, const std::function<void()>& parse);

/// A directory of this process, in memory where the system has such a place; gone at exit.
const std::filesystem::path& folder();
/// Writes FOLDER/name, whose directory exists.
std::filesystem::path put(const std::string& name, std::string_view bytes);

/// `input` cut at each `mark` into exactly `parts` pieces; missing ones are empty, the last holds the rest.
std::vector<std::string> split(std::string_view input, std::string_view mark, std::size_t parts);

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Whether `part` lies within `whole`.
bool inside(std::span<const std::byte> part, std::span<const std::byte> whole);

}  // namespace weightscope::fuzz

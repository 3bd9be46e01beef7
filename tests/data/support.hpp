#pragma once
#include <cstring>
#include <fstream>
#include <vector>

#include "core/error.hpp"
#include "data/token_file.hpp"
#include "support/scratch.hpp"

namespace weightscope {

inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string header(std::int32_t magic, std::int32_t version, std::int32_t count) {
  std::string bytes(1024, '\0');
  const std::int32_t values[3] = {magic, version, count};
  std::memcpy(bytes.data(), values, sizeof values);
  return bytes;
}

inline std::string ids(const std::vector<std::uint16_t>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * 2};
}

/// llm.c's format with tokens 0, 1, 2, … modulo `vocab`.
inline std::filesystem::path counting_file(const Scratch& scratch, int count, int vocab = 60000) {
  std::vector<std::uint16_t> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(static_cast<std::uint16_t>(i % vocab));
  write_bytes(scratch / "tokens.bin", header(20240520, 1, count) + ids(tokens));
  return scratch / "tokens.bin";
}

}  // namespace weightscope

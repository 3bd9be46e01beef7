#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "core/error.hpp"
#include "store/checkpoint.hpp"

namespace weightscope {

inline constexpr const char* kModelFile = "model.safetensors";
inline constexpr const char* kOptimizerFile = "optimizer.safetensors";

/// manifest.json: the last file of a checkpoint to be written. It names every other file with its size and
/// the CRC-32C of the file and of each tensor, and ends with a CRC-32C of itself.
struct Manifest {
  CheckpointInfo info;
  std::map<std::string, WrittenFile> files;
};

void write_manifest(const std::filesystem::path& directory, const Manifest& manifest);
Manifest read_manifest(const std::filesystem::path& directory);  ///< Error{input} naming the file

/// Compares a file with what the manifest says of it. Throws Error{fault} naming the file and, where it can,
/// the tensor.
void verify_file(const Safetensors& file, const WrittenFile& expected, Fault fault);

}  // namespace weightscope

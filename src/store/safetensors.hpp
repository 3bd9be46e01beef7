#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/buffer.hpp"

namespace weightscope {

/// A named tensor in host memory, borrowed. Row-major.
struct TensorRef {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  const void* data = nullptr;

  std::int64_t numel() const;
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype); }
};

/// Writes the safetensors format (8-byte length, JSON header, data), 64-byte aligned data, atomically and
/// durably.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorRef> tensors,
                       const std::map<std::string, std::string>& metadata);

/// A memory-mapped safetensors file. Everything is checked before use: header length, JSON, dtypes, shapes
/// against byte ranges, ranges inside the file and disjoint. Error{input} naming the path.
class Safetensors {
 public:
  static Safetensors open(const std::filesystem::path& path);
  const std::vector<TensorRef>& tensors() const { return tensors_; }  ///< in file order
  const TensorRef* find(const std::string& name) const;               ///< null when absent
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::shared_ptr<const void> mapping_;
  std::vector<TensorRef> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace weightscope

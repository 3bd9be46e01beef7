#pragma once
#include <cstddef>
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

/// What was written, for a later check: CRC-32C of the whole file and of each tensor's bytes.
struct WrittenFile {
  std::uint64_t bytes = 0;
  std::uint32_t crc = 0;
  std::map<std::string, std::uint32_t> tensors;
};

/// Writes the safetensors format (8-byte length, JSON header, data), 64-byte aligned data, atomically and
/// durably. Tensors with wider elements come first, else in the order given. Error{output}.
WrittenFile write_safetensors(const std::filesystem::path& path, std::span<const TensorRef> tensors,
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
  /// "NAME (F16)" of tensors whose element type this program does not have; they are in no other list.
  const std::vector<std::string>& unsupported() const { return unsupported_; }
  std::span<const std::byte> bytes() const { return bytes_; }  ///< of the whole file

 private:
  std::filesystem::path path_;
  std::shared_ptr<const void> mapping_;
  std::span<const std::byte> bytes_;
  std::vector<std::string> unsupported_;
  std::vector<TensorRef> tensors_;
  std::map<std::string, std::size_t> places_;  ///< in tensors_
  std::map<std::string, std::string> metadata_;
};

}  // namespace weightscope

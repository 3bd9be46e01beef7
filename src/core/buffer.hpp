#pragma once
#include <cstddef>
#include <cstdint>

namespace weightscope {

enum class DType : std::uint8_t { f32, bf16, f16, f64, i64, u16 };
/// meta: shapes without memory, for planning.
enum class Place : std::uint8_t { host, cuda, meta };

constexpr std::size_t size_of(DType type) {
  switch (type) {
    case DType::u16:
    case DType::bf16:
    case DType::f16:
      return 2;
    case DType::f32:
      return 4;
    case DType::f64:
    case DType::i64:
      return 8;
  }
  return 0;
}

/// A borrowed, contiguous run of elements on one device. Never owns. The only thing that comm, monitor and
/// store know about a tensor, so none of them includes LibTorch.
struct Buffer {
  void* data = nullptr;
  std::size_t count = 0;  ///< elements, not bytes
  DType dtype = DType::f32;
  Place place = Place::host;
  void* stream = nullptr;  ///< cudaStream_t on which the producer of `data` runs; unused on the host

  std::size_t bytes() const { return count * size_of(dtype); }
};

}  // namespace weightscope

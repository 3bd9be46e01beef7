#pragma once
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "core/buffer.hpp"

namespace weightscope {

/// The element types of the safetensors format; `ours` where this program has the type too.
struct ElementType {
  std::string_view name;
  std::size_t bytes;
  std::optional<DType> ours;
};
inline constexpr std::array kElementTypes{
    ElementType{"F32", 4, DType::f32},       ElementType{"BF16", 2, DType::bf16},
    ElementType{"F64", 8, DType::f64},       ElementType{"I64", 8, DType::i64},
    ElementType{"U16", 2, DType::u16},       ElementType{"F16", 2, DType::f16},
    ElementType{"F8_E4M3", 1, std::nullopt}, ElementType{"F8_E5M2", 1, std::nullopt},
    ElementType{"BOOL", 1, std::nullopt},    ElementType{"U8", 1, std::nullopt},
    ElementType{"I8", 1, std::nullopt},      ElementType{"I16", 2, std::nullopt},
    ElementType{"I32", 4, std::nullopt},     ElementType{"U32", 4, std::nullopt},
    ElementType{"U64", 8, std::nullopt}};

constexpr const ElementType* element_type(std::string_view name) {
  for (const auto& type : kElementTypes)
    if (type.name == name) return &type;
  return nullptr;
}
constexpr const ElementType& element_type(DType type) {
  for (const auto& row : kElementTypes)
    if (row.ours == type) return row;
  return kElementTypes[0];
}

}  // namespace weightscope

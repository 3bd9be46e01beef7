#pragma once
// Private to config: values as the file writes them.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/describe.hpp"

namespace weightscope {

std::string text_of(double value);  ///< shortest form that reads back to the same bits
inline std::string text_of(bool value) { return value ? "true" : "false"; }
inline std::string text_of(int value) { return std::to_string(value); }
inline std::string text_of(std::int64_t value) { return std::to_string(value); }
inline std::string text_of(std::uint64_t value) { return std::to_string(value); }
std::string text_of(const std::string& value);  ///< quoted where YAML would read something else

template <NamedEnum E>
std::string text_of(E value) {
  for (const auto& [candidate, name] : EnumNames<E>::table)
    if (candidate == value) return std::string(name);
  return "";
}

template <NamedEnum E>
std::string choices() {
  std::string all;
  for (const auto& row : EnumNames<E>::table) all += (all.empty() ? "" : ", ") + std::string(row.second);
  return all;
}

inline std::string text_of(const Cadence& c) {
  return c.epochs > 0 ? "{epochs: " + text_of(c.epochs) + "}" : text_of(c.steps);
}

template <class T>
std::string text_of(const std::vector<T>& values) {
  std::string all = "[";
  for (const auto& v : values) all += (all.size() > 1 ? ", " : "") + text_of(v);
  return all + "]";
}
std::string text_of(const InitRule& rule);
std::string text_of(const AlarmSetting& alarm);

bool is_utf8(std::string_view text);
/// Why a text cannot be a value, or "": what the system, HDF5 or a terminal would take for something else.
std::string text_problem(const std::string& value);

}  // namespace weightscope

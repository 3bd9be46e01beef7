#include "store/hdf5/values.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <type_traits>

namespace weightscope::hdf5 {

Values empty(Type type) {
  switch (type) {
    case Type::f64:
      return std::vector<double>{};
    case Type::i64:
      return std::vector<std::int64_t>{};
    case Type::i32:
      return std::vector<std::int32_t>{};
    case Type::u64:
      return std::vector<std::uint64_t>{};
    case Type::text:
      break;
  }
  return std::vector<std::string>{};
}

std::size_t size(const Values& values) {
  return std::visit([](const auto& v) { return v.size(); }, values);
}

void append(Values& to, const Values& more) {
  std::visit(
      [&](auto& v) {
        const auto& w = std::get<std::decay_t<decltype(v)>>(more);
        v.insert(v.end(), w.begin(), w.end());
      },
      to);
}

std::int64_t first_difference(const Values& a, const Values& b) {
  if (a.index() != b.index()) return 0;
  return std::visit(
      [&](const auto& x) -> std::int64_t {
        const auto& y = std::get<std::decay_t<decltype(x)>>(b);
        using Element = typename std::decay_t<decltype(x)>::value_type;
        const auto same = [](const Element& p, const Element& q) {
          if constexpr (std::is_same_v<Element, std::string>)
            return p == q;
          else
            return std::memcmp(&p, &q, sizeof p) == 0;  // NaN equals itself, −0 is not +0
        };
        const auto [at, other] = std::mismatch(x.begin(), x.end(), y.begin(), y.end(), same);
        return at == x.end() && other == y.end() ? -1 : at - x.begin();
      },
      a);
}

std::string element_text(const Values& values, std::size_t at) {
  return std::visit(
      [&](const auto& v) -> std::string {
        using Element = typename std::decay_t<decltype(v)>::value_type;
        if (at >= v.size()) return "absent";
        if constexpr (std::is_same_v<Element, std::string>) {
          return v[at];
        } else if constexpr (std::is_same_v<Element, double>) {
          char text[40];
          std::snprintf(text, sizeof text, "%.17g", v[at]);
          return text;
        } else {
          return std::to_string(v[at]);
        }
      },
      values);
}

}  // namespace weightscope::hdf5

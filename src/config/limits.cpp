#include "config/config.hpp"
#include "config/text.hpp"
#include "core/error.hpp"

namespace weightscope {
namespace {

struct LimitCheck {
  std::string file;
  template <class T>
  void operator()(const char* name, const T& value, const Limits& limits, const char*) {
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
      require(static_cast<double>(value) >= limits.low && static_cast<double>(value) <= limits.high,
              Fault::input,
              file + ": model." + name + " = " + text_of(value) + " is outside [" + text_of(limits.low) +
                  ", " + text_of(limits.high) + "]");
  }
};

}  // namespace

void check_limits(const ModelConfig& model, const std::string& file) {
  LimitCheck check{file};
  describe(model, check);
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i++]);
    const int more = first < 0x80                    ? 0
                     : first >= 0xc2 && first < 0xe0 ? 1
                     : first >= 0xe0 && first < 0xf0 ? 2
                     : first >= 0xf0 && first < 0xf5 ? 3
                                                     : -1;
    if (more < 0 || text.size() - i < static_cast<std::size_t>(more)) return false;
    for (int k = 0; k < more; ++k, ++i) {
      const auto next = static_cast<unsigned char>(text[i]);
      const bool longer_than_needed =
          k == 0 && ((first == 0xe0 && next < 0xa0) || (first == 0xf0 && next < 0x90));
      const bool no_character =
          k == 0 && ((first == 0xed && next >= 0xa0) || (first == 0xf4 && next >= 0x90));
      if ((next & 0xc0) != 0x80 || longer_than_needed || no_character) return false;
    }
  }
  return true;
}

std::string text_problem(const std::string& value) {
  for (const char c : value)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "holds a control character";
  return is_utf8(value) ? "" : "is not UTF-8";
}

}  // namespace weightscope

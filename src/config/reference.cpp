#include <cmath>

#include "config/config.hpp"
#include "config/text.hpp"

namespace weightscope {
namespace {

std::string limits_text(const Limits& l) {
  const bool low = std::isfinite(l.low), high = std::isfinite(l.high);
  if (!low && !high) return "";
  if (!high) return (l.open_low ? "> " : "≥ ") + text_of(l.low);
  return text_of(l.low) + " … " + (l.high == 0x1p64 ? kLargestSeed : text_of(l.high));
}

struct Reference {
  std::string out, prefix;
  void row(const std::string& name, const std::string& value, const std::string& allowed,
           const char* meaning) {
    out += "| `" + prefix + name + "` | " + (value.empty() ? "" : "`" + value + "`") + " | " + allowed +
           " | " + meaning + " |\n";
  }
  template <class T>
  void operator()(const char* name, const T& value, const Limits& limits, const char* meaning) {
    if constexpr (Section<T>) {
      const auto outer = prefix;
      prefix += std::string(name) + ".";
      describe(value, *this);
      prefix = outer;
    } else if constexpr (NamedEnum<T>) {
      row(name, text_of(value), choices<T>(), meaning);
    } else if constexpr (std::is_same_v<T, std::vector<AlarmSetting>>) {
      row(name, "all rules, action: record", "", meaning);
    } else if constexpr (std::is_same_v<T, bool>) {
      row(name, text_of(value), "true, false", meaning);
    } else {
      row(name, text_of(value), limits_text(limits), meaning);
    }
  }
  void pair(const char* name, double first, double second, const Limits& limits, const char* meaning) {
    row(name, "[" + text_of(first) + ", " + text_of(second) + "]", limits_text(limits), meaning);
  }
};

}  // namespace

std::string config_reference() {
  Reference reference;
  const RunConfig defaults;
  describe(defaults, reference);
  return "# Configuration reference\n\nGenerated from the program (`weightscope check --reference`); a test "
         "compares. Every key is optional.\n\n"
         "| key | default | allowed | meaning |\n|---|---|---|---|\n" +
         reference.out +
         "\n## Initialization schemes\n\nBiases are 0 and LayerNorm weights 1 in all of them; L layers, l "
         "from 0, C width.\n\n" +
         schemes_reference() + "\nLeft out: `deepnorm` (" + std::string(why_left_out("deepnorm")) +
         ").\n\n## Alarm rules\n\n`action` is one of " + choices<AlarmAction>() +
         ". What they mean, and how often they are wrong: [alarms.md](alarms.md).\n\n" + alarms_reference();
}

}  // namespace weightscope

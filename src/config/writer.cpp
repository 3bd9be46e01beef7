#include <charconv>

#include "config/config.hpp"
#include "config/text.hpp"

namespace weightscope {
namespace {

/// One line a key, nested sections indented.
struct Writer {
  std::string out, indent;
  template <class T>
  void operator()(const char* name, const T& value, const Limits&, const char*) {
    if constexpr (Section<T>) {
      out += indent + name + ":\n";
      indent += "  ";
      describe(value, *this);
      indent.resize(indent.size() - 2);
    } else {
      out += indent + name + ": " + text_of(value) + "\n";
    }
  }
  void pair(const char* name, double first, double second, const Limits&, const char*) {
    out += indent + name + ": [" + text_of(first) + ", " + text_of(second) + "]\n";
  }
};

/// {key: value, …} on one line, for list items.
struct FlowWriter {
  std::string out = "{";
  template <class T>
  void operator()(const char* name, const T& value, const Limits&, const char*) {
    out += (out.size() > 1 ? ", " : "") + std::string(name) + ": " + text_of(value);
  }
};

bool is_plain(const std::string& s) {
  if (s.empty() ||
      s.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-") !=
          std::string::npos)
    return false;
  const bool word = (s[0] >= 'a' && s[0] <= 'z') || (s[0] >= 'A' && s[0] <= 'Z') || s[0] == '/';
  return word && s != "true" && s != "false" && s != "null" && s != "Null" && s != "NULL";
}

}  // namespace

std::string text_of(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

std::string text_of(const std::string& value) {
  if (is_plain(value)) return value;
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string text_of(const InitRule& rule) {
  FlowWriter writer;
  describe(rule, writer);
  return writer.out + "}";
}

std::string text_of(const AlarmSetting& alarm) {
  const std::string name(alarm.row().name);
  if (alarm.row().occasion == AlarmOccasion::program) return name;
  FlowWriter writer;
  writer("rule", name, any(), "");
  describe(alarm, writer);
  return writer.out + "}";
}

std::string to_yaml(const RunConfig& config) {
  Writer writer;
  describe(config, writer);
  return writer.out;
}

}  // namespace weightscope

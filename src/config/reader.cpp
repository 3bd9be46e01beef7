#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <set>

#include "config/checks.hpp"
#include "config/config.hpp"
#include "config/text.hpp"
#include "core/error.hpp"
#include "core/suggest.hpp"

namespace weightscope {
namespace {

/// Decimal without leading zeros: 010 is eight to some YAML readers, ten to others.
bool plain_number(const std::string& s) {
  const std::size_t start = !s.empty() && (s[0] == '-' || s[0] == '+') ? 1 : 0;
  if (start >= s.size() || s[start] < '0' || s[start] > '9') return false;
  return !(s[start] == '0' && start + 1 < s.size() && s[start + 1] >= '0' && s[start + 1] <= '9');
}

template <class T>
bool parse_number(const std::string& s, T& value) {
  if (!plain_number(s)) return false;
  const char* begin = s.data() + (s[0] == '+' ? 1 : 0);
  const auto [end, error] = std::from_chars(begin, s.data() + s.size(), value);
  return error == std::errc() && end == s.data() + s.size();
}

class Reader {
 public:
  Reader(const YamlNode& map, std::string prefix, Problems& problems)
      : map_(&map), prefix_(std::move(prefix)), problems_(&problems) {}

  template <class T>
  void operator()(const char* name, T& value, const Limits& limits, const char*) {
    known_.push_back(name);
    if (const auto* node = map_->find(name)) read(*node, prefix_ + name, value, limits);
  }
  void pair(const char* name, double& first, double& second, const Limits& limits, const char*) {
    known_.push_back(name);
    const auto* node = map_->find(name);
    if (node == nullptr) return;
    if (node->kind != YamlNode::Kind::list || node->items.size() != 2)
      return problems_->add(node->where, prefix_ + name + " must be a list of two numbers, [0.9, 0.95]");
    read(node->items[0], prefix_ + name, first, limits);
    read(node->items[1], prefix_ + name, second, limits);
  }
  void refuse_unknown() {
    for (std::size_t i = 0; i < map_->keys.size(); ++i)
      if (std::find(known_.begin(), known_.end(), map_->keys[i]) == known_.end())
        problems_->add(map_->key_where[i],
                       "unknown key " + prefix_ + map_->keys[i] + nearest(map_->keys[i], known_));
  }

 private:
  template <class T>
  void read(const YamlNode& node, const std::string& key, T& value, const Limits& limits) {
    if constexpr (std::is_same_v<T, AlarmSetting>) {
      read_alarm(node, key, value);
    } else if constexpr (Section<T>) {
      if (node.kind == YamlNode::Kind::empty) return;
      if (node.kind != YamlNode::Kind::map)
        return problems_->add(node.where, key + " must be a mapping of keys");
      Reader inner(node, key + ".", *problems_);
      describe(value, inner);
      inner.refuse_unknown();
    } else if constexpr (std::is_same_v<T, Cadence>) {
      read_cadence(node, key, value, limits);
    } else if constexpr (requires { typename T::value_type; } && !std::is_same_v<T, std::string>) {
      if (node.kind != YamlNode::Kind::list) return problems_->add(node.where, key + " must be a list");
      value.assign(node.items.size(), typename T::value_type{});
      for (std::size_t i = 0; i < value.size(); ++i)
        read(node.items[i], key + "[" + std::to_string(i) + "]", value[i], limits);
    } else if (node.kind != YamlNode::Kind::scalar) {
      problems_->add(node.where, key + (node.kind == YamlNode::Kind::empty ? " has no value"
                                                                           : " must be a single value"));
    } else {
      read_scalar(node, key, value, limits);
    }
  }

  void read_cadence(const YamlNode& node, const std::string& key, Cadence& value, const Limits& limits) {
    if (node.kind != YamlNode::Kind::map) return read(node, key, value.steps, limits);
    Reader inner(node, key + ".", *problems_);
    inner("epochs", value.epochs, above(0), "");
    inner.refuse_unknown();
    value.steps = 0;
    if (node.find("epochs") == nullptr)
      problems_->add(node.where, key + " must be a number of steps or {epochs: N}");
  }

  /// A name, or {rule: NAME, …}.
  void read_alarm(const YamlNode& node, const std::string& key, AlarmSetting& value) {
    const bool map = node.kind == YamlNode::Kind::map;
    const auto* name = map ? node.find("rule") : &node;
    if (name == nullptr || name->kind != YamlNode::Kind::scalar)
      return problems_->add(node.where, key + " must be the name of a rule, or {rule: NAME, ...}");
    const int rule = alarm_rule_index(name->text);
    std::vector<std::string> names;
    std::string all;
    for (const auto& row : alarm_rules())
      names.emplace_back(row.name), all += (all.empty() ? "" : ", ") + names.back();
    if (rule < 0)
      return problems_->add(name->where, key + (map ? ".rule = " : " = ") + name->text + " is not one of " +
                                             all + nearest(name->text, names));
    value = alarm_setting(rule);
    if (!map) return;
    Reader inner(node, key + ".", *problems_);
    inner.known_.emplace_back("rule");
    if (value.row().occasion != AlarmOccasion::program) describe(value, inner);
    inner.refuse_unknown();
    if (value.row().band) refuse_empty_band(node, key, value);
  }

  void refuse_empty_band(const YamlNode& node, const std::string& key, const AlarmSetting& value) {
    if (value.values[0] <= value.values[1]) return;
    const auto end = [&](std::size_t i) { return key + "." + std::string(value.row().keys[i].name); };
    const auto* given = node.find(std::string(value.row().keys[0].name));
    if (given == nullptr) given = node.find(std::string(value.row().keys[1].name));
    problems_->add(given->where, end(0) + " = " + text_of(value.values[0]) + " is above " + end(1) + " = " +
                                     text_of(value.values[1]));
  }

  template <class T>
  void read_scalar(const YamlNode& node, const std::string& key, T& value, const Limits& limits) {
    const auto& text = node.text;
    const auto wrong = [&](const std::string& wanted) {
      const auto written = node.quoted ? '"' + text + '"' : text;  // the quotes may be what is wrong
      problems_->add(node.where, key + " = " + written + " is not " + wanted);
    };
    if constexpr (NamedEnum<T>) {
      for (const auto& [candidate, name] : EnumNames<T>::table)
        if (text == name) return void(value = candidate);
      const auto reason = std::is_same_v<T, InitScheme> ? std::string(why_left_out(text)) : "";
      if (!reason.empty())
        return problems_->add(node.where,
                              key + " = " + text + " is left out: " + reason + " (docs/decisions.md)");
      std::vector<std::string> names;
      for (const auto& row : EnumNames<T>::table) names.emplace_back(row.second);
      problems_->add(node.where,
                     key + " = " + text + " is not one of " + choices<T>() + nearest(text, names));
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (const auto why = text_problem(text); !why.empty())
        return problems_->add(node.where, key + " " + why);
      value = text;
    } else if constexpr (std::is_same_v<T, bool>) {
      if (node.quoted || (text != "true" && text != "false")) return wrong("true or false");
      value = text == "true";
    } else {
      T parsed{};
      if (node.quoted || !parse_number(text, parsed))
        return wrong(std::is_unsigned_v<T>   ? std::string("an integer from 0 to ") + kLargestSeed
                     : std::is_integral_v<T> ? "an integer"
                                             : "a number");
      const auto x = static_cast<double>(parsed);
      if (!std::isfinite(x)) return wrong("finite");
      if (x < limits.low || x > limits.high || (limits.open_low && x == limits.low))
        return problems_->add(node.where, key + " = " + text + " is outside " +
                                              (limits.open_low ? "(" : "[") + text_of(limits.low) + ", " +
                                              text_of(limits.high) + "]");
      value = parsed;
    }
  }

  const YamlNode* map_;
  std::string prefix_;
  Problems* problems_;
  std::vector<std::string> known_;
};

YamlNode value_of(const Override& set, const std::string& label, Problems& problems) {
  YamlNode text;
  text.kind = YamlNode::Kind::scalar, text.where = label, text.text = set.value;
  text.quoted = set.verbatim;
  if (set.verbatim) return text;
  auto value = parse_yaml(set.value, "", label, problems);
  const bool map = value.kind == YamlNode::Kind::map;
  return map && set.value.find('{') == std::string::npos ? text : value;  // "" and "a: b" are texts here
}

void apply(const Override& set, YamlNode& root, Problems& problems) {
  const auto label = (set.verbatim ? "--" : "--set ") + set.key;
  auto value = value_of(set, label, problems);
  YamlNode* node = &root;
  for (std::size_t from = 0; from <= set.key.size();) {
    const auto dot = std::min(set.key.find('.', from), set.key.size());
    if (node->kind == YamlNode::Kind::empty) node->kind = YamlNode::Kind::map;
    if (node->kind != YamlNode::Kind::map)
      return problems.add(label, set.key.substr(0, from > 0 ? from - 1 : 0) + " is no section");
    node = &node->at_or_insert(set.key.substr(from, dot - from), label);
    from = dot + 1;
  }
  *node = std::move(value);
}

/// By line and column within the file; command-line problems last.
void sort_by_place(std::vector<std::string>& lines, const std::string& file) {
  const auto place = [&](const std::string& line) {
    long row = 1L << 30, column = 0;
    if (line.starts_with(file + ":")) std::sscanf(line.c_str() + file.size(), ":%ld:%ld", &row, &column);
    return std::pair(row, column);
  };
  std::stable_sort(lines.begin(), lines.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
}

enum class Variables { replace, keep };

RunConfig parse(const std::string& yaml_text, const std::string& file_name,
                const std::vector<Override>& overrides, int world_size, Variables variables) {
  RunConfig config;
  Problems problems;
  auto root = parse_yaml(yaml_text, file_name, "", problems);
  if (root.kind != YamlNode::Kind::map) {
    problems.add(root.where, "must be a mapping of keys");
    root = YamlNode{};
    root.kind = YamlNode::Kind::map;
  }
  for (const auto& set : overrides) apply(set, root, problems);
  Reader reader(root, "", problems);
  describe(config, reader);
  reader.refuse_unknown();
  if (problems.lines.empty() && variables == Variables::replace)
    substitute(config, root, file_name, problems);
  cross_check(config, root, file_name, world_size, problems);
  if (problems.lines.empty()) return config;
  sort_by_place(problems.lines, file_name);
  std::string all;
  for (const auto& line : problems.lines) all += (all.empty() ? "" : "\n") + line;
  throw Error(Fault::config, all);
}

}  // namespace

RunConfig parse_config(const std::string& yaml_text, const std::string& file_name,
                       const std::vector<Override>& overrides, int world_size) {
  return parse(yaml_text, file_name, overrides, world_size, Variables::replace);
}

RunConfig parse_stored_config(const std::string& yaml_text, const std::string& file_name) {
  try {
    return parse(yaml_text, file_name, {}, 0, Variables::keep);
  } catch (const Error& e) {
    throw Error(Fault::input, e.what());
  }
}

}  // namespace weightscope

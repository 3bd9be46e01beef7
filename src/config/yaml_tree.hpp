#pragma once
// Private to config: YAML as a tree that remembers where everything stands, with the parts of YAML left out
// that surprise people (docs/decisions.md): anchors, aliases, tags, merge keys, duplicate keys, second
// documents.
#include <string>
#include <vector>

namespace weightscope {

struct YamlNode {
  enum class Kind { empty, scalar, list, map } kind = Kind::empty;
  std::string where;  ///< "FILE:LINE:COLUMN" or "--set KEY"
  std::string text;   ///< of a scalar
  bool quoted = false;
  std::vector<YamlNode> items;    ///< of a list, and the values of a map
  std::vector<std::string> keys;  ///< of a map
  std::vector<std::string> key_where;

  const YamlNode* find(const std::string& key) const;
  YamlNode& at_or_insert(const std::string& key, const std::string& where_set);
};

/// Problems, one line each, with their place in the file for sorting.
struct Problems {
  std::vector<std::string> lines;
  void add(const std::string& where, const std::string& what) { lines.push_back(where + ": " + what); }
};

/// The first document. What is not allowed goes to `problems`; a file that does not parse at all gives an
/// empty map and one problem. `label` replaces FILE:LINE:COLUMN when it does not come from a file.
YamlNode parse_yaml(const std::string& text, const std::string& file, const std::string& label,
                    Problems& problems);

}  // namespace weightscope

#include "config/yaml_tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <sstream>

#include "config/text.hpp"

namespace weightscope {
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 20, kDeepest = 16, kMostValues = 20'000;

std::string place_in(const std::string& file, const std::string& label, const YAML::Mark& mark) {
  if (!label.empty()) return label;
  std::ostringstream text;
  text << file << ':' << mark.line + 1 << ':' << mark.column + 1;
  return text.str();
}

/// Builds the tree from the parser's events: no alias is ever followed, so no small file can grow large.
class Builder final : public YAML::EventHandler {
 public:
  Builder(const std::string& file, const std::string& label, Problems& problems)
      : file_(file), label_(label), problems_(&problems) {}
  YamlNode root;

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    put(mark, "", anchor, YamlNode::Kind::empty, "");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    problems_->add(where(mark), "aliases (*name) are not allowed; write the value out");
    put(mark, "", 0, YamlNode::Kind::empty, "");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (!open_.empty() && expects_key()) {
      refuse(mark, tag, anchor);
      return take_key(mark, value);
    }
    put(mark, tag, anchor, YamlNode::Kind::scalar, value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::list);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::map);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  std::string where(const YAML::Mark& mark) const { return place_in(file_, label_, mark); }
  bool expects_key() const {
    return open_.back()->kind == YamlNode::Kind::map &&
           open_.back()->keys.size() == open_.back()->items.size();
  }
  void refuse(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) problems_->add(where(mark), "anchors (&name) are not allowed; write the value out");
    if (tag.size() > 1 && tag != "?" && tag != "!")
      problems_->add(where(mark), "tags (" + tag + ") are not allowed");
  }
  void take_key(const YAML::Mark& mark, const std::string& key) {
    auto& map = *open_.back();
    if (key == "<<") problems_->add(where(mark), "merge keys (<<) are not allowed; write the values out");
    if (std::find(map.keys.begin(), map.keys.end(), key) != map.keys.end())
      problems_->add(where(mark), key + " appears twice");
    map.keys.push_back(key);
    map.key_where.push_back(where(mark));
  }
  YamlNode* put(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Kind kind,
                const std::string& text) {
    // Looking for a key twice takes the square of their number, and a value takes a hundred bytes for its
    // one.
    if (++values_ > kMostValues) throw YAML::ParserException(mark, "more than 20000 values");
    refuse(mark, tag, anchor);
    // Its value would be taken for the next key, and the next key's value would be missing.
    if (!open_.empty() && expects_key()) throw YAML::ParserException(mark, "a key must be plain text");
    YamlNode node;
    node.kind = kind, node.where = where(mark), node.text = text, node.quoted = tag == "!";
    if (open_.empty()) {
      root = std::move(node);
      return &root;
    }
    open_.back()->items.push_back(std::move(node));
    return &open_.back()->items.back();
  }
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Kind kind) {
    if (open_.size() >= kDeepest) throw YAML::ParserException(mark, "nested deeper than 16 levels");
    open_.push_back(put(mark, tag, anchor, kind, ""));
  }

  std::string file_, label_;
  Problems* problems_;
  std::size_t values_ = 0;
  std::vector<YamlNode*> open_;  ///< path to the innermost open list or map; only its last element ever grows
};

}  // namespace

const YamlNode* YamlNode::find(const std::string& key) const {
  const auto at = std::find(keys.begin(), keys.end(), key);
  return at == keys.end() ? nullptr : &items[static_cast<std::size_t>(at - keys.begin())];
}

YamlNode& YamlNode::at_or_insert(const std::string& key, const std::string& where_set) {
  const auto at = std::find(keys.begin(), keys.end(), key);
  if (at != keys.end()) return items[static_cast<std::size_t>(at - keys.begin())];
  keys.push_back(key), key_where.push_back(where_set);
  items.emplace_back();
  items.back().where = where_set;
  return items.back();
}

YamlNode parse_yaml(const std::string& text, const std::string& file, const std::string& label,
                    Problems& problems) {
  const auto place = label.empty() ? file + ":1:1" : label;
  YamlNode empty;
  empty.kind = YamlNode::Kind::map, empty.where = place;
  if (text.size() > kLargestFile) {
    problems.add(place, "is larger than 1 MiB; this is not a configuration");
    return empty;
  }
  if (text.find('\0') != std::string::npos) {
    problems.add(place, "holds a zero byte; this is not a text file");
    return empty;
  }
  if (!is_utf8(text)) {
    problems.add(place, "is not UTF-8; this is not a text file");
    return empty;
  }
  std::istringstream in(text);
  Builder builder(file, label, problems);
  try {
    YAML::Parser parser(in);
    if (!parser.HandleNextDocument(builder)) return empty;
    Problems ignored;
    Builder second(file, label, ignored);
    if (parser.HandleNextDocument(second))
      problems.add(place, "holds a second document (---); only one is allowed");
  } catch (const YAML::Exception& e) {
    problems.add(place_in(file, label, e.mark), "is not valid YAML: " + e.msg);
    return empty;
  }
  return builder.root.kind == YamlNode::Kind::empty ? empty : builder.root;
}

}  // namespace weightscope

#include <map>

#include "config/config.hpp"
#include "config/text.hpp"
#include "core/hash.hpp"

namespace weightscope {
namespace {

/// key → text of every leaf.
struct Flatten {
  std::map<std::string, std::string> leaves;
  std::string prefix;
  template <class T>
  void operator()(const char* name, const T& value, const Limits&, const char*) {
    if constexpr (Section<T>) {
      const auto outer = prefix;
      prefix += std::string(name) + ".";
      describe(value, *this);
      prefix = outer;
    } else {
      leaves[prefix + name] = text_of(value);
    }
  }
  void pair(const char* name, double first, double second, const Limits&, const char*) {
    leaves[prefix + name] = "[" + text_of(first) + ", " + text_of(second) + "]";
  }
};

/// Keys under which a run is one experiment. Where it runs, what it records and how long it goes on may
/// change.
bool must_not_change(const std::string& key) {
  for (const char* prefix :
       {"seed", "model.", "init.", "data.train", "data.order", "optimizer.", "schedule."})
    if (key.starts_with(prefix)) return true;
  for (const char* exact : {"train.global_batch", "train.micro_batch", "train.precision", "train.grad_clip",
                            "parallel.reduction"})
    if (key == exact) return true;
  return false;
}

std::map<std::string, std::string> fixed_keys(const RunConfig& config) {
  Flatten flat;
  describe(config, flat);
  std::erase_if(flat.leaves, [](const auto& leaf) { return !must_not_change(leaf.first); });
  return flat.leaves;
}

}  // namespace

std::string resume_fingerprint(const RunConfig& config) {
  std::string all;
  for (const auto& [key, value] : fixed_keys(config)) all += key + "=" + value + "\n";
  return hex(crc32c(std::as_bytes(std::span(all))));
}

std::vector<std::string> resume_conflicts(const RunConfig& before, const RunConfig& now) {
  const auto old_keys = fixed_keys(before), new_keys = fixed_keys(now);
  std::vector<std::string> conflicts;
  for (const auto& [key, value] : new_keys)
    if (old_keys.at(key) != value) conflicts.push_back(key + ": " + old_keys.at(key) + " → " + value);
  return conflicts;
}

}  // namespace weightscope

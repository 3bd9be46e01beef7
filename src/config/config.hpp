#pragma once
#include <string>
#include <vector>

#include "config/run_config.hpp"

namespace weightscope {

/// One `--set key.path=value` of the command line; reported as "--set key.path" where a file would show its
/// line. verbatim: an option of its own, "--key", whose value is a text as it stands, not YAML.
struct Override {
  std::string key, value;
  bool verbatim = false;
};

/// Reads, range-checks and cross-checks. Strict YAML: anchors, aliases, tags, duplicate keys, octal-looking
/// numbers, a second document, depth > 16 and files > 1 MiB are refused. Collects EVERY problem, then throws
/// one Error{config} with one line per problem: "FILE:LINE:COLUMN: key = value problem; suggestion".
/// `world_size` enters the cross-checks (global_batch divisible by ranks × micro_batch); 0 = unknown, not
/// checked.
RunConfig parse_config(const std::string& yaml_text, const std::string& file_name,
                       const std::vector<Override>& overrides = {}, int world_size = 0);

/// The same for a configuration that came with a checkpoint: nothing is replaced in it, so that a file from
/// elsewhere learns nothing of this machine's environment. Error{input}.
RunConfig parse_stored_config(const std::string& yaml_text, const std::string& file_name);

/// Error{input} "FILE: model.layers = 5000 is outside [1, 1024]" for an architecture that no configuration
/// could ask for.
void check_limits(const ModelConfig& model, const std::string& file);

/// The complete configuration, defaults and substitutions included; parse_config(to_yaml(c)) gives c again.
std::string to_yaml(const RunConfig& config);

/// Markdown reference of every key: default, allowed values, meaning. docs/config-reference.md is this text.
std::string config_reference();

/// Hash of the keys that must stay for a checkpoint to be continued.
std::string resume_fingerprint(const RunConfig& config);
/// "key: old → new" for each of those keys that differ.
std::vector<std::string> resume_conflicts(const RunConfig& before, const RunConfig& now);

}  // namespace weightscope

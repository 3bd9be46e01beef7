#pragma once
// Private to config: what no single key can say.
#include "config/run_config.hpp"
#include "config/yaml_tree.hpp"

namespace weightscope {

/// Combinations that cannot run, keys of features that are not there yet, names and substitutions.
void cross_check(const RunConfig& config, const YamlNode& root, const std::string& file, int world,
                 Problems& problems);

/// ${name}, ${seed}, ${env:VAR} and ${env:VAR:-default} in output, data.* and init.from.
void substitute(RunConfig& config, const YamlNode& root, const std::string& file, Problems& problems);

}  // namespace weightscope

// init and audit: weights against the scheme they claim.
#include <algorithm>
#include <cstdio>

#include "app/commands.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/file_io.hpp"
#include "init/schemes.hpp"
#include "model/gpt_neox.hpp"
#include "model/init_report.hpp"
#include "model/slices.hpp"
#include "model/weights_io.hpp"
#include "store/experiment_file.hpp"

namespace weightscope {
namespace {

int print(const InitReport& report, OutputFormat format) {
  std::fputs((format == OutputFormat::json ? to_json(report) + "\n" : to_text(report)).c_str(), stdout);
  return report.pass ? 0 : static_cast<int>(Fault::numeric);
}

/// What --scheme says: the name of a scheme, whatever lies in this folder under that name, or a configuration
/// file.
RunConfig expected_of(const Context& context, const std::string& scheme) {
  RunConfig config;
  const auto* known = std::find(kSchemeNames.begin(), kSchemeNames.end(), scheme);
  if (known == kSchemeNames.end())
    return is_there(scheme)
               ? load_config(context, {scheme, "", {}}, 0)
               : parse_config("init: {scheme: " + scheme + "}", "--scheme");  // which says why not
  config.init.scheme = static_cast<InitScheme>(known - kSchemeNames.begin());
  return config;
}

/// Puts a model from elsewhere into `config`, which has to say its base width (muP) where the model does not.
void expect_of(const ModelConfig& found, RunConfig& config) {
  const int base = config.model.mup_base_width;
  config.model = found;
  if (found.mup_base_width == 0) config.model.mup_base_width = base;
  require(config.init.scheme != InitScheme::mup || config.model.mup_base_width > 0, Fault::config,
          "--scheme mup needs a checkpoint that says its model.mup_base_width, or a configuration file that "
          "does");
}

}  // namespace

int run_init(const Context& context, const InitArguments& arguments) {
  const auto config = load_config(context, arguments.config, 0);
  const ParamStore store(config.model, types_of(Precision::fp32), {}, 1);
  const auto plan = plan_initialization(config, store.parameters());
  if (config.init.from.empty())
    initialize(store, plan, config.seed);
  else
    load_initial_weights(config, store);
  auto report = report_initialization(store, plan);
  if (!config.init.from.empty()) report = imported(std::move(report), config.init.from);
  if (!arguments.config.output.empty()) {
    ExperimentHeader header;
    header.name = config.name, header.config_yaml = to_yaml(config), header.version = version();
    header.layers = config.model.layers, header.heads = config.model.heads, header.displacement = false;
    for (const auto& p : store.parameters())
      header.parameters.push_back(p.name), header.parameter_shapes.push_back(shape_text(p.shape));
    header.init = report.rows;
    auto file = ExperimentFile::create(config.output, header);
    auto snapshot =
        take_snapshot(*context.host, weight_slices(store, config.model, nullptr),
                      {config.model.layers, config.model.heads, static_cast<int>(store.parameters().size())});
    snapshot.update_ratio.assign(store.parameters().size(), std::numeric_limits<double>::quiet_NaN());
    file.append(snapshot);
    file.close("finished", 0);
  }
  return print(report, arguments.format);
}

int run_audit(const Context& context, const AuditArguments& arguments) {
  auto config = expected_of(context, arguments.scheme);
  if (is_gpt_neox(arguments.model)) {
    const auto found = measure_gpt_neox(arguments.model);
    expect_of(found.model, config);
    auto report = report_initialization(found.tensors, plan_initialization(config, found.table));
    report.notes.insert(report.notes.end(), found.notes.begin(), found.notes.end());
    return print(report, arguments.format);
  }
  expect_of(model_of(arguments.model), config);
  const ParamStore store(config.model, types_of(Precision::fp32), {}, 1);
  load_model(arguments.model, store);
  return print(report_initialization(store, plan_initialization(config, store.parameters())),
               arguments.format);
}

}  // namespace weightscope

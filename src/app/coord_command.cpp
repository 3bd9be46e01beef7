// coord-check: how activations go with the width, without and with muP.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "app/commands.hpp"
#include "core/error.hpp"
#include "core/file_io.hpp"
#include "core/log.hpp"

namespace weightscope {
namespace {

CoordPlan plan_of(const CoordCheckArguments& arguments, const ModelConfig& model) {
  CoordPlan plan = arguments.plan;
  if (plan.widths.empty()) plan.widths = default_widths(model, plan.grow);
  std::sort(plan.widths.begin(), plan.widths.end());
  const bool twice = std::adjacent_find(plan.widths.begin(), plan.widths.end()) != plan.widths.end();
  require(plan.widths.size() > 1 && !twice, Fault::config, "--widths must be at least two different widths");
  if (plan.which.empty()) plan.which = {Parametrization::standard, Parametrization::mup};
  return plan;
}

/// Error{output} for a place where no file can come to be: now, not after all the trainings.
void refuse_unwritable(const std::filesystem::path& path) {
  std::error_code unknown;
  require(!std::filesystem::is_directory(path, unknown), Fault::output,
          "cannot write " + path.string() + ": it is a directory");
  const auto folder = path.parent_path() / ".";  // with the dot a file is no folder
  require_system(::access(folder.c_str(), W_OK | X_OK) == 0, Fault::output, "cannot write", path.string());
}

}  // namespace

int run_coord_check(const Context& context, const CoordCheckArguments& arguments) {
  const auto config = load_config(context, arguments.config, 1);
  const auto plan = plan_of(arguments, config.model);
  const auto file = TokenFile::open_training_data(config.data.train);
  file.check_ids(config.model.vocab);
  file.blocks(config.model.block);
  if (!arguments.output.empty()) refuse_unwritable(arguments.output);
  const auto report = coord_report(config, plan, *context.host, file, log_info);
  std::fputs((arguments.format == OutputFormat::json ? to_json(report) : to_text(report)).c_str(), stdout);
  std::fflush(stdout);  // whatever becomes of the file
  if (!arguments.output.empty()) write_file_atomically(arguments.output, to_json(report));
  return report.verdict() == "pass" ? 0 : static_cast<int>(Fault::numeric);
}

}  // namespace weightscope

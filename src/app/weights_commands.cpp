// measure, export, import: weights from one form to another.
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "app/commands.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/file_io.hpp"
#include "core/log.hpp"
#include "model/slices.hpp"
#include "model/weights_io.hpp"
#include "store/experiment_file.hpp"

namespace weightscope {
namespace {

void refuse_existing(const std::filesystem::path& path) {
  require(!is_there(path), Fault::output, path.string() + " exists already; nothing is overwritten");
}

/// A new hidden directory beside `path`, from where a file can be renamed to it; gone at the end of the
/// scope. Each has a name of its own: one that a killed process left is in nobody's way.
class WorkDirectory {
 public:
  explicit WorkDirectory(const std::filesystem::path& path) {
    const auto beside = path.parent_path();
    if (!beside.empty()) make_directories(beside);
    auto name = (beside / ".measure-XXXXXX").string();
    require_system(::mkdtemp(name.data()) != nullptr, Fault::output, "cannot create", name);
    path_ = name;
  }
  ~WorkDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  WorkDirectory(const WorkDirectory&) = delete;
  WorkDirectory& operator=(const WorkDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

int run_measure(const Context& context, const MeasureArguments& arguments) {
  refuse_existing(arguments.output);
  const auto model = model_of(arguments.model);
  const ParamStore store(model, types_of(Precision::fp32), {}, 1);
  load_model(arguments.model, store);
  RunConfig config;
  config.name = "measure", config.output = arguments.output;  // the record says what made it, resolved
  config.model = model, config.init.from = arguments.model;
  ExperimentHeader header;
  header.name = config.name, header.config_yaml = to_yaml(config), header.version = version();
  header.layers = model.layers, header.heads = model.heads, header.displacement = false;
  for (const auto& p : store.parameters())
    header.parameters.push_back(p.name), header.parameter_shapes.push_back(shape_text(p.shape));
  auto snapshot = take_snapshot(*context.host, weight_slices(store, model, nullptr),
                                {model.layers, model.heads, static_cast<int>(store.parameters().size())});
  const auto checkpoint = resolve_checkpoint(arguments.model);
  if (!checkpoint.empty()) snapshot.step = open_checkpoint(checkpoint).info.step;
  snapshot.update_ratio.assign(store.parameters().size(), std::numeric_limits<double>::quiet_NaN());
  // The record is made in a directory of its own; only the finished file takes the name that was asked for.
  const WorkDirectory work(arguments.output);
  {
    auto file = ExperimentFile::create(work.path(), header);
    file.append(snapshot);
    file.close("finished", 0);
  }
  rename_durably(work.path() / "experiment.h5", arguments.output);
  log_info("measured " + arguments.model + " into " + arguments.output);
  return 0;
}

int run_export(const Context&, const ConvertArguments& arguments) {
  // A manifest makes it a checkpoint of ours, whose weights it vouches for.
  for (const char* name : {"manifest.json", "model.safetensors", "config.json"})
    refuse_existing(std::filesystem::path(arguments.output) / name);
  const auto model = model_of(arguments.from);
  const ParamStore store(model, types_of(Precision::fp32), {}, 1);
  load_model(arguments.from, store);
  export_hf(arguments.output, store, model);
  log_info("exported " + arguments.from + " to " + arguments.output + " (model.safetensors, config.json)");
  return 0;
}

int run_import(const Context&, const ConvertArguments& arguments) {
  RunConfig config;
  config.model = model_of(arguments.from);
  config.name = "imported", config.output = arguments.output;  // a checkpoint's configuration is resolved
  config.init.from = arguments.from;
  const ParamStore store(config.model, types_of(Precision::fp32), {}, 1);
  load_model(arguments.from, store);
  CheckpointInfo info;
  info.config_yaml = to_yaml(config);
  refuse_existing(arguments.output);
  write_checkpoint_at(arguments.output, info, named_tensors(store, store.master(), "").refs, {});
  log_info("imported " + arguments.from + " to " + arguments.output);
  return 0;
}

}  // namespace weightscope

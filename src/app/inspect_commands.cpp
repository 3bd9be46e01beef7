// check, inspect, doctor: commands that only look.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "comm/versions.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "model/device.hpp"
#include "model/initialize.hpp"
#include "model/memory_plan.hpp"
#include "ops/cpu/kernels.hpp"
#include "store/experiment_file.hpp"
#include "store/hdf5_version.hpp"
#include "train/cadence.hpp"

namespace weightscope {
namespace {

std::string megabytes(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MiB", static_cast<double>(bytes) / 1048576);
  return text;
}

}  // namespace

int run_check(const Context& context, const CheckArguments& arguments) {
  if (arguments.reference) {
    std::fputs(config_reference().c_str(), stdout);
    return 0;
  }
  require(!arguments.config.file.empty(), Fault::config, "CONFIG is required");
  const int world = arguments.ranks > 0 ? arguments.ranks : context.job.ranks;
  const auto config = load_config(context, arguments.config, world);
  const auto table = parameter_table(config.model);
  plan_initialization(config, table);  // says which rule has no parameter
  std::int64_t parameters = 0;
  for (const auto& p : table) parameters += p.numel();
  const auto plan = plan_memory(config, world);
  // The estimates are YAML comments, so that the output is itself a configuration.
  std::printf("%s\n", to_yaml(config).c_str());
  std::printf("# %ld parameters; %ld tokens per step, %ld in all; %d rank(s)\n",
              static_cast<long>(parameters),
              static_cast<long>(config.train.global_batch * config.model.block),
              static_cast<long>(config.train.global_batch * config.model.block * config.train.steps), world);
  std::printf("# %s, planned:\n", plans_for_gpu(config)
                                      ? "memory of each GPU, beside about 500 MiB that CUDA itself takes"
                                      : "memory per rank");
  for (const auto& line : plan)
    std::printf("#   %12s  %s\n", megabytes(line.bytes).c_str(), line.what.c_str());
  std::printf("#   %12s  total\n", megabytes(total_bytes(plan)).c_str());
  std::printf("# planned_bytes: %ld\n", static_cast<long>(total_bytes(plan)));
  std::printf("# disk: %s per checkpoint, %s per snapshot before compression\n",
              megabytes(checkpoint_bytes(config)).c_str(), megabytes(snapshot_bytes(config)).c_str());
  return 0;
}

int run_inspect(const Context&, const InspectArguments& arguments) {
  const auto facts = inspect_experiment(arguments.file);
  if (arguments.format == OutputFormat::json) {
    nlohmann::ordered_json json{{"uuid", facts.uuid},
                                {"name", facts.name},
                                {"steps", facts.steps},
                                {"snapshots", facts.steps.size()},
                                {"layers", facts.layers},
                                {"heads", facts.heads},
                                {"world_sizes", facts.world_sizes},
                                {"status", facts.status},
                                {"last_step", facts.last_step},
                                {"last_loss", facts.last_loss},
                                {"alarms", facts.alarms},
                                {"created", facts.created},
                                {"weightscope_version", facts.version}};
    std::printf("%s\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return 0;
  }
  std::printf("%s  %s, %s, weightscope %s, created %s\n", printable(facts.name).c_str(),
              printable(facts.uuid).c_str(), printable(facts.status).c_str(),
              printable(facts.version).c_str(), printable(facts.created).c_str());
  std::printf("%d layers, %d heads; %zu snapshots", facts.layers, facts.heads, facts.steps.size());
  if (!facts.steps.empty())
    std::printf(", steps %ld to %ld", static_cast<long>(facts.steps.front()),
                static_cast<long>(facts.steps.back()));
  if (facts.last_step < 0)
    std::printf("\nno updates; %ld alarm(s)\n", static_cast<long>(facts.alarms));
  else
    std::printf("\nlast update %ld with loss %.4f; %ld alarm(s)\n", static_cast<long>(facts.last_step),
                facts.last_loss, static_cast<long>(facts.alarms));
  return 0;
}

int run_doctor(const Context& context) {
  std::printf("weightscope   %s (%s), %s\n", version().c_str(), context.revision.c_str(), compiler().c_str());
  std::printf("MPI           %s; %d rank(s)\n", mpi_version().c_str(), context.job.ranks);
  std::printf("NCCL          %s\n", nccl_version().c_str());
  std::printf("CUDA          %s; %d device(s) usable\n", device_support(), cuda_devices());
  std::printf("LibTorch      %s\n", torch_version());
  std::printf("HDF5          %s\n", hdf5_version().c_str());
  std::printf("CPU kernels   %s; %d thread(s) per rank%s\n", cpu::kernels().isa, context.job.cores.threads,
              context.job.cores.bind_to.empty() ? "" : ", bound to cores of its own");
  return 0;
}

}  // namespace weightscope

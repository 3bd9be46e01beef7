#include "app/commands.hpp"
#include "core/log.hpp"
#include "train/trainer.hpp"

namespace weightscope {

int run_train(const Context& context, const TrainArguments& arguments, const std::atomic<int>& stop) {
  const auto config = load_config(context, arguments.config, context.host->size());
  TrainerOptions options{
      arguments.resume, arguments.progress, context.cores.threads, context.revision, {}, &stop};
  RunStatus status;
  do {
    Trainer trainer(config, *context.host, options);
    status = trainer.run();
    if (!status.undone) break;
    options.undone.push_back(*status.undone);
    options.resume = status.step > 0 ? Resume{Resume::Mode::step, status.step} : Resume{};
  } while (true);
  if (status.by_alarm) {
    if (context.is_root())
      log_error("stopped by an alarm after step " + std::to_string(status.step) +
                (status.status == "finished"
                     ? ", which was the last"
                     : ", state saved; run the same command again to go on all the same"));
    return static_cast<int>(Fault::numeric);
  }
  if (status.status == "stopped") {
    if (context.is_root())
      log_info("stopped on request after step " + std::to_string(status.step) +
               ", state saved; run the same command again to continue");
    return static_cast<int>(Fault::stopped);
  }
  if (context.is_root())
    log_info("finished: " + config.output + "/experiment.h5; look at it with: weightscope-report " +
             config.output + " -o " + config.output + "/report.html");
  return 0;
}

}  // namespace weightscope

// The life of a run as far as files go: rows, snapshots, seals and checkpoints of a made-up run, written by
// the classes that training uses, in milliseconds. Goes on where an earlier life ended. Usage: life RUN STEPS
#include <cstdio>
#include <cstdlib>
#include <future>

#include "core/error.hpp"
#include "store/checkpoint_writer.hpp"
#include "store/experiment_writer.hpp"
#include "store/made_up_run.hpp"
#include "store/run_lock.hpp"

namespace weightscope {
namespace {

/// What a checkpoint of a step holds: 1500 numbers made from it.
std::vector<float> state_of(std::int64_t step) {
  return normal_weights(1500, "state" + std::to_string(step), 1);
}

/// The newest checkpoint that can be read; its step, 0 for none.
std::int64_t newest(const std::filesystem::path& run) {
  auto steps = checkpoint_steps(run);
  for (; !steps.empty(); steps.pop_back()) try {
      open_checkpoint(checkpoint_directory(run, steps.back()));
      return steps.back();
    } catch (const Error& e) {
      std::fprintf(stderr, "%s\n", e.what());
    }
  return 0;
}

void live(const std::filesystem::path& run, std::int64_t steps) {
  const auto lock = RunLock::acquire(run);
  auto header = made_up_header(1, 1);
  header.head_histograms = false;
  remove_leftovers(run);
  const auto first = newest(run);
  if (first > 0) set_later_aside(run, first);
  const bool exists = std::filesystem::exists(run / "experiment.h5");
  ExperimentWriter record(exists ? ExperimentFile::resume(run, header, first)
                                 : ExperimentFile::create(run, header));
  CheckpointWriter checkpoints(run, {.keep = 1});
  record.begin_segment(made_up_segment(first));
  if (first == 0) record.append(made_up_snapshot(header, 0));
  std::vector<float> state;
  for (auto step = first; step < steps; ++step) {
    record.add(made_up_train(step));
    if ((step + 1) % 2 == 0) record.append(made_up_snapshot(header, step + 1));
    if ((step + 1) % 3 != 0) continue;
    const auto sealed = record.seal();
    checkpoints.settle();
    state = state_of(step + 1);
    const std::vector<TensorRef> model{{"w", DType::f32, {500}, state.data()}},
        optimizer{{"exp_avg.w", DType::f32, {500}, state.data() + 500},
                  {"exp_avg_sq.w", DType::f32, {500}, state.data() + 1000}};
    CheckpointInfo info;
    info.step = step + 1;
    checkpoints.begin({info, model, optimizer, sealed, [] { return false; }});
  }
  checkpoints.finish();
  record.close("finished", 1);
  for (const auto& line : record.differences()) throw Error(Fault::internal, line);
}

}  // namespace
}  // namespace weightscope

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    weightscope::live(argv[1], std::atoll(argv[2]));
  } catch (const weightscope::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return e.exit_code();
  }
  return 0;
}

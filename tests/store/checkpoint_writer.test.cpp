#include "store/checkpoint_writer.hpp"

#include "monitor/weights.hpp"
#include "store/folder.hpp"

namespace weightscope {
namespace {

/// A checkpoint of a step: weights that its memory must hold until it is written.
CheckpointWriter::Job job_of(std::int64_t step, const std::vector<float>& weights) {
  CheckpointWriter::Job job;
  job.info.step = step;
  job.model = {{"w", DType::f32, {static_cast<std::int64_t>(weights.size())}, weights.data()}};
  job.optimizer = job.model;
  return job;
}

}  // namespace

TEST(CheckpointWriter, BorrowsMemoryUntilItIsSettled) {
  const Folder run;
  CheckpointWriter writer(run.path(), {});
  std::vector<float> weights(5000);
  for (std::int64_t step = 1; step <= 12; ++step) {
    writer.settle();  // from here on nobody reads the weights
    std::fill(weights.begin(), weights.end(), static_cast<float>(step));
    writer.begin(job_of(step, weights));
    (void)writer.poll();
  }
  writer.finish();
  EXPECT_EQ(checkpoint_steps(run.path()).back(), 12);
  for (const auto step : checkpoint_steps(run.path())) {
    const auto checkpoint = open_checkpoint(checkpoint_directory(run.path(), step));
    const auto* first = static_cast<const float*>(checkpoint.model.find("w")->data);
    EXPECT_TRUE(std::all_of(first, first + 5000, [&](float w) { return w == static_cast<float>(step); }))
        << step;
  }
}

TEST(CheckpointWriter, WaitsForTheRecordAndReportsWhatIsWritten) {
  const Folder run;
  const auto weights = normal_weights(100, "w", 1);
  CheckpointWriter writer(run.path(), {});
  std::promise<void> record;
  auto job = job_of(7, weights);
  job.record = record.get_future().share(), job.record_fails = [] { return false; };
  writer.begin(job);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(writer.poll());
  EXPECT_TRUE(checkpoint_steps(run.path()).empty()) << "a checkpoint is not newer than the record";
  record.set_value();
  writer.finish();
  EXPECT_EQ(writer.poll().value().step, 7);
  EXPECT_FALSE(writer.poll()) << "once";
}

TEST(CheckpointWriter, ThrowsWhatItsThreadMetUnlessItIsPatient) {
  const Folder run;
  const auto weights = normal_weights(100, "w", 1);
  put(run / "checkpoints", "a file where the folder should be");
  CheckpointWriter hasty(run.path(), {});
  hasty.begin(job_of(1, weights));
  expect_error(Fault::output, "checkpoints", [&] { hasty.finish(); });
  CheckpointWriter patient(run.path(), {2, 0, true});
  patient.begin(job_of(1, weights));
  EXPECT_NO_THROW(patient.settle());
  std::filesystem::remove(run / "checkpoints");
  patient.begin(job_of(2, weights));
  EXPECT_NO_THROW(patient.finish());
  EXPECT_EQ(checkpoint_steps(run.path()), (std::vector<std::int64_t>{2}));
}

}  // namespace weightscope

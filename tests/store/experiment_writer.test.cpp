#include "store/experiment_writer.hpp"

#include "store/file_content.hpp"
#include "store/folder.hpp"
#include "store/made_up_run.hpp"

namespace weightscope {

TEST(ExperimentWriter, WritesTheFileThatItsCallsWouldHaveWritten) {
  const Folder direct, behind;
  const auto header = made_up_header();
  auto file = ExperimentFile::create(direct.path(), header);
  ExperimentWriter writer(ExperimentFile::create(behind.path(), header));
  EXPECT_EQ(writer.uuid(), inspect_experiment(behind.path()).uuid);
  file.begin_segment(made_up_segment(0)), writer.begin_segment(made_up_segment(0));
  record(file, header, 0, 24, 2), record(writer, header, 0, 24, 2);
  file.close("finished", 1), writer.close("finished", 1);
  EXPECT_TRUE(writer.differences().empty());
  EXPECT_EQ(inspect_experiment(behind.path()).status, "finished");
  expect_same_content(direct / "experiment.h5", behind / "experiment.h5");
}

TEST(ExperimentWriter, HasEverythingOnDiskAfterFlush) {
  const Folder run;
  const auto header = made_up_header();
  ExperimentWriter writer(ExperimentFile::create(run.path(), header));
  for (std::int64_t step = 0; step < 12; ++step) writer.append(made_up_snapshot(header, step));
  writer.flush();
  EXPECT_EQ(inspect_experiment(run.path()).steps.size(), 12u);
}

TEST(ExperimentWriter, WritesWhatWaitsWhenItIsDestroyed) {
  const Folder run;
  const auto header = made_up_header();
  {
    ExperimentWriter writer(ExperimentFile::create(run.path(), header));
    record(writer, header, 0, 8);
  }
  EXPECT_EQ(inspect_experiment(run.path()).steps.size(), 3u);
}

TEST(ExperimentWriter, ThrowsWhatItsThreadMetAtTheNextCallAndEveryOneAfter) {
  const Folder folder;
  const auto header = made_up_header();
  const auto run = folder / "run";
  ExperimentWriter writer(ExperimentFile::create(run, header));
  std::filesystem::remove_all(run);
  put(run, "a file where the run directory was");
  writer.append(made_up_snapshot(header, 0));
  expect_error(Fault::output, "run", [&] { writer.flush(); });
  expect_error(Fault::output, "run", [&] { writer.add(made_up_train(0)); });
  expect_error(Fault::output, "run", [&] { writer.close("failed", 0); });
}

TEST(ExperimentWriter, PassesOnTheDifferencesOfAResumedRun) {
  const Folder run;
  const auto header = made_up_header();
  {
    ExperimentWriter writer(ExperimentFile::create(run.path(), header));
    record(writer, header, 0, 8);
  }
  ExperimentWriter writer(ExperimentFile::resume(run.path(), header, 4));
  auto row = made_up_train(4);
  row.lr = 7;
  writer.add(row);
  writer.flush();
  EXPECT_EQ(writer.differences().size(), 1u);
}

}  // namespace weightscope

// What a killed job leaves behind, and how the next one goes on.
#include <fstream>

#include "store/file_content.hpp"
#include "store/fold.hpp"
#include "store/folder.hpp"
#include "store/made_up_run.hpp"

namespace weightscope {
namespace {

namespace fs = std::filesystem;

void copy_run(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

/// A run of 18 updates that nothing interrupts.
void uninterrupted(const fs::path& run, const ExperimentHeader& header) {
  auto file = ExperimentFile::create(run, header);
  file.begin_segment(made_up_segment(0));
  record(file, header, 0, 18);
  file.close("finished", 1);
}

}  // namespace

TEST(Fold, SaysThatRowsAreInTheFileBeforeAnythingElseCanFail) {
  const Folder run;
  const auto header = made_up_header();
  const auto rows = [&](const char* dataset) {
    return hdf5::File::open_to_read(run / "experiment.h5").rows(dataset);
  };
  {
    auto file = ExperimentFile::create(run.path(), header);
    make_directories(RunFiles{run.path()}.temporary() / "x");  // in the way
    EXPECT_THROW(file.begin_segment(made_up_segment(0)), Error);
    fs::remove_all(RunFiles{run.path()}.temporary());
    file.begin_segment(made_up_segment(0));
    EXPECT_EQ(rows("/segments/start_step"), 1u) << "once, however often it is tried";
    record(file, header, 0, 8);
  }
  const RunFiles files{run.path()};
  const auto identity = identity_of(hdf5::File::open_to_read(files.sealed()));
  Rows pending;
  std::get<std::vector<TrainRow>>(pending) = {made_up_train(8), made_up_train(9)};
  const auto fail_then = [&] {
    EXPECT_EQ(rows("/train/step"), 10u);
    EXPECT_EQ(files.tail_files().size(), 3u) << "they are removed later";
    pending = {};
    throw Error(Fault::output, "something else");
  };
  EXPECT_THROW(fold({files, header, identity, pending, std::nullopt}, fail_then), Error);
  fold({files, header, identity, pending, std::nullopt});
  EXPECT_EQ(rows("/train/step"), 10u);
  EXPECT_EQ(inspect_experiment(run.path()).steps, (std::vector<std::int64_t>{0, 4, 8}));
  EXPECT_TRUE(files.tail_files().empty());
}

TEST(Fold, CanBeInterruptedBetweenAnyTwoSteps) {
  const Folder folder;
  const auto header = made_up_header();
  const auto reference = folder / "reference", start = folder / "start", run = folder / "run";
  uninterrupted(reference, header);
  {
    auto file = ExperimentFile::create(start, header);
    file.begin_segment(made_up_segment(0));
    record(file, header, 0, 12);
  }  // killed: rows until the snapshot of step 12 lie in the tail
  for (int steps = 0; steps <= 6; ++steps) {
    copy_run(start, run);
    const RunFiles files{run};
    const auto identity = identity_of(hdf5::File::open_to_read(files.sealed()));
    const Rows none;
    const FoldRequest request{files, header, identity, none, std::nullopt};
    const auto all = files.tail_files(), missing = fold_steps::missing_tail_files(request);
    ASSERT_EQ(missing.size(), 4u);
    if (steps == 1) put(files.temporary(), bytes_of(files.sealed()).substr(0, 5000));  // half a copy
    if (steps >= 2) fold_steps::write_temporary(request, missing);
    if (steps >= 3) fold_steps::verify_temporary(request, missing);
    if (steps >= 4) fold_steps::publish_temporary(files);
    if (steps == 5) fold_steps::remove_tail(files, {all[0], all[2]});
    if (steps >= 6) fold_steps::remove_tail(files, all);
    EXPECT_EQ(inspect_experiment(run).steps, (std::vector<std::int64_t>{0, 4, 8, 12})) << steps;
    EXPECT_EQ(inspect_experiment(run).last_step, 11) << steps;
    EXPECT_EQ(inspect_experiment(run).alarms, 1) << steps;
    auto file = ExperimentFile::resume(run, header, 12);
    file.begin_segment(made_up_segment(12));
    record(file, header, 12, 18);
    file.close("finished", 1);
    EXPECT_TRUE(file.differences().empty());
    expect_same_content(run / "experiment.h5", reference / "experiment.h5");
  }
}

TEST(Fold, SeesThatWhatItWroteDoesNotReadBack) {
  const Folder folder;
  const auto header = made_up_header();
  auto file = ExperimentFile::create(folder.path(), header);
  record(file, header, 0, 8);
  const RunFiles files{folder.path()};
  const auto identity = identity_of(hdf5::File::open_to_read(files.sealed()));
  Rows pending;
  const FoldRequest request{files, header, identity, pending, std::nullopt};
  const auto missing = fold_steps::missing_tail_files(request);
  fold_steps::write_temporary(request, missing);
  {
    auto damaged = hdf5::File::open_to_change(files.temporary());
    const auto spec = snapshot_datasets(header)[5].spec;
    auto values = std::get<std::vector<double>>(damaged.read(spec));
    values[3] += 1e-9;
    damaged.write(spec, 0, values);
    damaged.close();
  }
  expect_error(Fault::output, "reads back differently",
               [&] { fold_steps::verify_temporary(request, missing); });
  std::get<std::vector<TrainRow>>(pending).push_back(made_up_train(8));
  expect_error(Fault::output, "", [&] { fold_steps::verify_temporary(request, missing); });
}

TEST(Fold, RefusesATailThatIsNotThisRuns) {
  const Folder folder;
  const auto header = made_up_header();
  auto a = ExperimentFile::create(folder / "a", header), b = ExperimentFile::create(folder / "b", header);
  a.append(made_up_snapshot(header, 0)), b.append(made_up_snapshot(header, 4));
  fs::copy_file(folder / "b/tail/000000000004.h5", folder / "a/tail/000000000004.h5");
  expect_error(Fault::input, "000000000004.h5", [&] { a.seal(); });
  EXPECT_EQ(inspect_experiment(folder / "a").steps, std::vector<std::int64_t>{0});
  put(folder / "b/tail/000000000008.h5", "damaged");
  expect_error(Fault::input, "000000000008.h5", [&] { b.seal(); });
}

TEST(Resume, RepeatsTheRowsAfterTheCheckpointAndFindsThemEqual) {
  const Folder folder;
  const auto header = made_up_header();
  const auto run = folder / "run", reference = folder / "reference";
  uninterrupted(reference, header);
  {
    auto file = ExperimentFile::create(run, header);
    file.begin_segment(made_up_segment(0));
    record(file, header, 0, 8);
    file.seal();  // the checkpoint of step 8
    record(file, header, 8, 15);
  }
  auto file = ExperimentFile::resume(run, header, 8);
  EXPECT_EQ(file.uuid(), inspect_experiment(run).uuid);
  EXPECT_EQ(inspect_experiment(run).steps, (std::vector<std::int64_t>{0, 4, 8}));
  EXPECT_EQ(inspect_experiment(run).last_step, 7);
  EXPECT_EQ(RunFiles{run}.set_aside_files().size(), 1u);
  file.begin_segment(made_up_segment(8, 4));
  file.append(made_up_snapshot(header, 8));  // taken again: already there
  file.add(made_up_alarm(8));
  record(file, header, 8, 18);
  file.close("finished", 2);
  EXPECT_TRUE(file.differences().empty()) << file.differences().front();
  EXPECT_FALSE(fs::exists(RunFiles{run}.set_aside())) << "confirmed rows have no further use";
  const auto facts = inspect_experiment(run);
  EXPECT_EQ(facts.world_sizes, (std::vector{2, 4}));
  EXPECT_EQ(facts.alarms, 2);
  const auto segments = read_table<SegmentRow>(hdf5::File::open_to_read(run / "experiment.h5"));
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].status, "failed") << "its job never said how it ended";
  EXPECT_EQ(segments[0].end_step, 8);
  EXPECT_EQ(segments[1].status, "finished");
  auto a = content_of(run / "experiment.h5"), b = content_of(reference / "experiment.h5");
  for (const auto& [path, values] : b) {
    if (path.starts_with("segments/") || path.starts_with("alarms/")) continue;
    EXPECT_LT(hdf5::first_difference(a[path], values), 0) << path;
  }
}

TEST(Resume, NamesTheFirstNumberThatDiffersInEachRow) {
  const Folder run;
  const auto header = made_up_header();
  {
    auto file = ExperimentFile::create(run.path(), header);
    record(file, header, 0, 16);
  }
  auto file = ExperimentFile::resume(run.path(), header, 8);
  auto other_time = made_up_train(8);
  other_time.step_seconds = 99, other_time.tokens_per_second = 1;
  file.add(other_time);
  EXPECT_TRUE(file.differences().empty()) << "time need not repeat";
  auto other_loss = made_up_train(9);
  other_loss.loss = std::nextafter(other_loss.loss, 0.0);
  file.add(other_loss);
  ASSERT_EQ(file.differences().size(), 1u);
  EXPECT_EQ(file.differences()[0].find("train step 9: loss is 0.5"), 0u) << file.differences()[0];
  auto other_eval = made_up_eval(10);
  other_eval.loss += 1;
  file.add(other_eval);
  ASSERT_EQ(file.differences().size(), 2u);
  EXPECT_EQ(file.differences()[1].find("eval step 10: loss is "), 0u) << file.differences()[1];
  auto other_probe = made_up_probe(header, 12);
  other_probe.attention_entropy[4] = 0.5;
  file.add(made_up_probe(header, 9)), file.add(other_probe), file.add(made_up_probe(header, 15));
  ASSERT_EQ(file.differences().size(), 3u);
  EXPECT_EQ(
      file.differences()[2].find("probe step 12: attention_entropy of layer 1, head 1 is 0.5, was 305.7"), 0u)
      << file.differences()[2];
  auto other_spectra = made_up_spectra(header, 12);
  other_spectra.alpha[9] = 0.5;
  file.add(other_spectra);
  ASSERT_EQ(file.differences().size(), 4u);
  EXPECT_EQ(file.differences()[3], "spectra step 12: alpha of layer 1, k is 0.5, was 413");
  auto snapshot = made_up_snapshot(header, 12);
  snapshot.wall_time = 1e9;
  ++snapshot.components[7 + 2].histogram.bins[448];
  file.append(snapshot);
  ASSERT_EQ(file.differences().size(), 5u);
  EXPECT_EQ(file.differences()[4], "snapshot 12: histogram of layer 1, k, bin 448 is 1, was 0");
  file.append(made_up_snapshot(header, 16));
  file.close("finished", 1);
  EXPECT_EQ(file.differences().size(), 5u);
  EXPECT_EQ(RunFiles{run.path()}.set_aside_files().size(), 1u) << "kept for whoever wants to know";
}

TEST(Resume, ComparesTheSnapshotThatIsTakenAgain) {
  const Folder run;
  const auto header = made_up_header();
  {
    auto file = ExperimentFile::create(run.path(), header);
    record(file, header, 0, 4);
  }
  auto file = ExperimentFile::resume(run.path(), header, 0);
  auto changed = made_up_snapshot(header, 0);
  file.append(changed);
  EXPECT_TRUE(file.differences().empty());
  changed.components[0].summary.min = -7;
  file.append(changed);
  ASSERT_EQ(file.differences().size(), 1u);
  EXPECT_EQ(file.differences()[0].find("snapshot 0: min of layer 0, c_attn is -7, was -"), 0u)
      << file.differences()[0];
}

TEST(Resume, KeepsComparingAfterASecondInterruption) {
  const Folder run;
  const auto header = made_up_header();
  {
    auto file = ExperimentFile::create(run.path(), header);
    record(file, header, 0, 16);
  }
  {
    auto file = ExperimentFile::resume(run.path(), header, 4);
    record(file, header, 4, 8);  // killed again before it has caught up
  }
  auto file = ExperimentFile::resume(run.path(), header, 8);
  EXPECT_EQ(RunFiles{run.path()}.set_aside_files().size(), 1u) << "nothing new to set aside at step 8";
  auto other = made_up_snapshot(header, 16);
  other.epoch = 0;
  record(file, header, 8, 15);
  file.append(other);
  ASSERT_EQ(file.differences().size(), 1u);
  EXPECT_EQ(file.differences()[0].find("snapshot 16: epoch is 0, was 2.28"), 0u) << file.differences()[0];
}

TEST(Resume, RefusesTheFileOfAnotherRun) {
  const Folder run;
  const auto header = made_up_header();
  expect_error(Fault::input, "experiment.h5", [&] { ExperimentFile::resume(run.path(), header, 0); });
  ExperimentFile::create(run.path(), header);
  auto renamed = header, deeper = made_up_header(3), more_heads = made_up_header(2, 4), other = header;
  renamed.name = "other";
  other.parameters[1] = "h.0.attn.c_attn.w";
  for (const auto& wrong : {renamed, deeper, more_heads, other})
    expect_error(Fault::input, "not this run's", [&] { ExperimentFile::resume(run.path(), wrong, 0); });
  auto longer = header;
  longer.config_yaml = "steps: 1000\n";
  ExperimentFile::resume(run.path(), longer, 0);
  EXPECT_EQ(inspect_experiment(run.path()).config_yaml, "steps: 1000\n");
}

}  // namespace weightscope

#include "store/experiment_file.hpp"

#include <sys/resource.h>

#include <csignal>

#include "store/file_content.hpp"
#include "store/fold.hpp"
#include "store/folder.hpp"
#include "store/made_up_run.hpp"

namespace weightscope {
namespace {

namespace fs = std::filesystem;

std::ptrdiff_t entries(const fs::path& folder) { return std::distance(fs::directory_iterator(folder), {}); }

}  // namespace

TEST(ExperimentFile, IsCompleteFromTheStart) {
  const Folder run;
  const auto header = made_up_header();
  auto file = ExperimentFile::create(run.path(), header);
  const auto facts = inspect_experiment(run.path());
  EXPECT_EQ(facts.uuid, file.uuid());
  EXPECT_EQ(facts.uuid.size(), 36u);
  EXPECT_EQ(facts.name, "made-up");
  EXPECT_EQ(facts.status, "running");
  EXPECT_EQ(facts.config_yaml, header.config_yaml);
  EXPECT_EQ(facts.layers, 2);
  EXPECT_EQ(facts.heads, 3);
  EXPECT_TRUE(facts.steps.empty());
  EXPECT_EQ(facts.last_step, -1);
  const auto again = header_of(hdf5::File::open_to_read(run / "experiment.h5"));
  EXPECT_EQ(again.parameters, header.parameters);
  EXPECT_EQ(again.parameter_shapes, header.parameter_shapes);
  ASSERT_EQ(again.init.size(), 4u);
  EXPECT_EQ(again.init[2].std, header.init[2].std);
  EXPECT_EQ(again.init[0].tied_to, "wte");
  expect_error(Fault::output, "experiment.h5", [&] { ExperimentFile::create(run.path(), header); });
}

TEST(ExperimentFile, HoldsEveryNumberThatWasGivenToIt) {
  const Folder run;
  const auto header = made_up_header();
  auto file = ExperimentFile::create(run.path(), header);
  file.begin_segment(made_up_segment(0));
  record(file, header, 0, 18);
  file.close("finished", 12.5);
  EXPECT_EQ(entries(run.path()), 1) << "a closed run is one file";
  const auto sealed = hdf5::File::open_to_read(run / "experiment.h5");
  std::uint64_t row = 0;
  for (const std::int64_t step : {0, 4, 8, 12, 16}) {
    const auto snapshot = made_up_snapshot(header, step);
    for (const auto& dataset : snapshot_datasets(header))
      EXPECT_LT(hdf5::first_difference(sealed.read(dataset.spec, row, 1), dataset.row(snapshot)), 0)
          << dataset.spec.path << " of step " << step;
    ++row;
  }
  EXPECT_EQ(sealed.rows("snapshot_step"), row);
  const auto train = read_table<TrainRow>(sealed);
  ASSERT_EQ(train.size(), 18u);
  for (std::int64_t step = 0; step < 18; ++step) {
    const auto &found = train[static_cast<std::size_t>(step)], expected = made_up_train(step);
    EXPECT_EQ(found.step, step);
    EXPECT_EQ(found.loss, expected.loss);
    EXPECT_EQ(found.lr, expected.lr);
    EXPECT_EQ(found.grad_norm, expected.grad_norm);
    EXPECT_EQ(found.tokens_per_second, expected.tokens_per_second);
    EXPECT_EQ(found.step_seconds, expected.step_seconds);
  }
  const auto eval = read_table<EvalRow>(sealed);
  ASSERT_EQ(eval.size(), 3u);
  EXPECT_EQ(eval[2].step, 15);
  EXPECT_EQ(eval[2].loss, made_up_eval(15).loss);
  const auto probes = read_table<ProbeRow>(sealed, header);
  ASSERT_EQ(probes.size(), 7u);
  for (std::size_t i = 0; i < probes.size(); ++i) {
    const auto want = made_up_probe(header, 3 * static_cast<std::int64_t>(i));
    EXPECT_EQ(probes[i].step, want.step);
    EXPECT_EQ(probes[i].attention_logit_max, want.attention_logit_max);
    EXPECT_EQ(probes[i].attention_logit_rms, want.attention_logit_rms);
    EXPECT_EQ(probes[i].attention_entropy, want.attention_entropy);
    EXPECT_EQ(probes[i].residual_rms, want.residual_rms);
  }
  const auto alarms = read_table<AlarmRow>(sealed);
  ASSERT_EQ(alarms.size(), 1u);
  EXPECT_EQ(alarms[0].message, "loss é at step 7");
  EXPECT_EQ(alarms[0].threshold, 6.5);
  const auto segments = read_table<SegmentRow>(sealed);
  ASSERT_EQ(segments.size(), 1u);
  EXPECT_EQ(segments[0].end_step, 18);
  EXPECT_EQ(segments[0].seconds, 12.5);
  EXPECT_EQ(segments[0].status, "finished");
  EXPECT_EQ(segments[0].world_size, 2);
  EXPECT_EQ(segments[0].hosts, "node-1");
}

TEST(ExperimentFile, IsTheSameHoweverOftenItIsSealed) {
  const Folder once, often;
  const auto header = made_up_header();
  auto a = ExperimentFile::create(once.path(), header), b = ExperimentFile::create(often.path(), header);
  record(a, header, 0, 18);
  b.add(made_up_probe(header, 0));
  b.append(made_up_snapshot(header, 0));
  b.seal();
  for (std::int64_t step = 0; step < 18; ++step) {
    b.add(made_up_train(step));
    if (step == 7) b.add(made_up_alarm(step));
    if ((step + 1) % 5 == 0) b.add(made_up_eval(step + 1));
    if ((step + 1) % 3 == 0) b.add(made_up_probe(header, step + 1));
    if ((step + 1) % 6 == 0) b.add(made_up_spectra(header, step + 1));
    b.seal();  // also with rows that no snapshot has taken along yet
    if ((step + 1) % 4 == 0) b.append(made_up_snapshot(header, step + 1));
  }
  a.close("finished", 1), b.close("finished", 2);
  expect_same_content(once / "experiment.h5", often / "experiment.h5");
}

TEST(ExperimentFile, ShowsReadersTheTailBeforeItIsSealed) {
  const Folder run;
  const auto header = made_up_header();
  auto file = ExperimentFile::create(run.path(), header);
  file.begin_segment(made_up_segment(0, 4));
  record(file, header, 0, 12);
  const auto facts = inspect_experiment(run.path());
  EXPECT_EQ(facts.steps, (std::vector<std::int64_t>{0, 4, 8, 12}));
  EXPECT_EQ(facts.last_step, 11);
  EXPECT_EQ(facts.last_loss, made_up_train(11).loss);
  EXPECT_EQ(facts.alarms, 1);
  EXPECT_EQ(facts.world_sizes, std::vector{4});
  EXPECT_EQ(inspect_experiment(run / "experiment.h5").steps, facts.steps);
  file.seal();
  EXPECT_EQ(entries(run / "tail"), 0);
  EXPECT_EQ(inspect_experiment(run.path()).steps, facts.steps);
  EXPECT_EQ(inspect_experiment(run.path()).alarms, 1);
  file.close("stopped", 1);
  EXPECT_EQ(inspect_experiment(run.path()).status, "stopped");
  EXPECT_EQ(whole_numbers(content_of(run / "experiment.h5"), "segments/end_step"),
            (std::vector<std::int64_t>{12}));
}

TEST(ExperimentFile, SealsByItselfAfter64Snapshots) {
  const Folder run;
  auto header = made_up_header(1, 1);
  auto file = ExperimentFile::create(run.path(), header);
  for (std::int64_t step = 0; step < 70; ++step) file.append(made_up_snapshot(header, step));
  EXPECT_EQ(entries(run / "tail"), 6);
  EXPECT_EQ(whole_numbers(content_of(run / "experiment.h5"), "snapshot_step").size(), 64u);
}

TEST(ExperimentFile, IsNotHinderedByWhatAKilledJobLeftBehind) {
  const Folder run;
  const auto header = made_up_header();
  put(run / ".experiment.h5.tmp", "half a file");
  put(run / "tail/000000000004.h5.tmp", "half a file");
  auto file = ExperimentFile::create(run.path(), header);
  record(file, header, 0, 8);
  put(run / ".experiment.h5.tmp", "half a file");
  file.close("finished", 1);
  EXPECT_EQ(inspect_experiment(run.path()).steps.size(), 3u);
}

TEST(ExperimentFile, RefusesSnapshotsThatDoNotFit) {
  const Folder run;
  const auto header = made_up_header();
  auto file = ExperimentFile::create(run.path(), header);
  file.append(made_up_snapshot(header, 4));
  expect_error(Fault::internal, "after that of step 4", [&] { file.append(made_up_snapshot(header, 3)); });
  auto small = made_up_snapshot(header, 5);
  small.heads.pop_back();
  expect_error(Fault::internal, "shape", [&] { file.append(small); });
}

TEST(ExperimentFile, RefusesGradientsThatDoNotFit) {
  const Folder run;
  const auto header = made_up_header();
  auto file = ExperimentFile::create(run.path(), header);
  auto small = made_up_snapshot(header, 4);
  small.budget_parameters.pop_back();
  expect_error(Fault::internal, "gradients of step 4", [&] { file.append(small); });
}

TEST(ExperimentFile, BegunWithoutGradientsGoesOnWithoutThem) {
  const Folder run;
  auto header = made_up_header(), old = header;
  old.gradients = false;
  {
    auto file = ExperimentFile::create(run.path(), old);
    record(file, old, 0, 8);
    file.close("stopped", 1);
  }
  auto file = ExperimentFile::resume(run.path(), header, 8);
  record(file, header, 8, 18);
  file.close("finished", 1);
  const auto content = content_of(run / "experiment.h5");
  EXPECT_EQ(content.count("gradient_std"), 0u);
  EXPECT_EQ(content.count("norm_budget_change"), 0u);
  EXPECT_EQ(whole_numbers(content, "snapshot_step").size(), 5u);
}

TEST(ExperimentFile, RefusesProbesThatDoNotFit) {
  const Folder run;
  const auto header = made_up_header();
  auto file = ExperimentFile::create(run.path(), header);
  auto small = made_up_probe(header, 0);
  small.residual_rms.pop_back();
  expect_error(Fault::internal, "shape", [&] { file.add(small); });
}

TEST(ExperimentFile, OfAVersionWithoutProbesGoesOnWithoutThem) {
  const Folder with, without;
  auto header = made_up_header(), old = header;
  old.probes = false, old.spectra = false;
  {
    auto file = ExperimentFile::create(without.path(), old);
    record(file, old, 0, 8);
    file.close("stopped", 1);
  }
  EXPECT_FALSE(hdf5::File::open_to_read(without / "experiment.h5").has("probe"));
  auto file = ExperimentFile::resume(without.path(), header, 8);
  record(file, header, 8, 18);
  file.close("finished", 1);
  const auto content = content_of(without / "experiment.h5");
  EXPECT_EQ(content.count("probe/step"), 0u);
  EXPECT_EQ(whole_numbers(content, "train/step").size(), 18u);
}

TEST(ExperimentFile, OfAVersionWithoutAStatisticGoesOnWithoutIt) {
  const Folder run;
  auto header = made_up_header(), old = header;
  old.lacks = {"cosine", "parameter_cosine"};
  {
    auto file = ExperimentFile::create(run.path(), old);
    record(file, old, 0, 12);  // the last snapshot is set aside
    file.close("stopped", 1);
  }
  auto file = ExperimentFile::resume(run.path(), header, 8);
  record(file, header, 8, 18);
  EXPECT_EQ(file.differences(), std::vector<std::string>{});
  file.close("finished", 1);
  const auto content = content_of(run / "experiment.h5");
  EXPECT_EQ(content.count("cosine") + content.count("parameter_cosine"), 0u);
  EXPECT_EQ(content.count("displacement"), 1u);
  EXPECT_EQ(whole_numbers(content, "snapshot_step").size(), 5u);
}

TEST(ExperimentFile, NamesTheFileWhenTheDiskIsFullAndLosesNothingThatWasWritten) {
  const Folder run;
  const auto header = made_up_header();
  auto file = ExperimentFile::create(run.path(), header);
  record(file, header, 0, 8);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit little{20000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &little);
  expect_error(Fault::output, "000000000012.h5", [&] { file.append(made_up_snapshot(header, 12)); });
  expect_error(Fault::output, "experiment.h5", [&] { file.seal(); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(inspect_experiment(run.path()).steps, (std::vector<std::int64_t>{0, 4, 8}));
  file.append(made_up_snapshot(header, 12));
  file.close("finished", 1);
  EXPECT_EQ(inspect_experiment(run.path()).steps, (std::vector<std::int64_t>{0, 4, 8, 12}));
}

TEST(InspectExperiment, NamesTheFileThatItCannotUse) {
  const Folder run;
  expect_error(Fault::input, "experiment.h5", [&] { inspect_experiment(run.path()); });
  put(run / "experiment.h5", "not HDF5");
  expect_error(Fault::input, "experiment.h5", [&] { inspect_experiment(run.path()); });
  hdf5::File::create(run / "other.h5").close();
  expect_error(Fault::input, "other.h5", [&] { inspect_experiment(run / "other.h5"); });
  const auto header = made_up_header();
  fs::remove(run / "experiment.h5");
  ExperimentFile::create(run.path(), header);
  const auto whole = bytes_of(run / "experiment.h5");
  for (const std::size_t part : {1u, 2u, 3u, 5u, 9u}) {
    put(run / "experiment.h5", whole.substr(0, whole.size() * part / 10));
    expect_error(
        Fault::input, "experiment.h5", [&] { inspect_experiment(run.path()); }, std::to_string(part));
  }
}

TEST(Hdf5File, NeverReplacesAFile) {
  const Folder folder;
  put(folder / "precious.h5", "data");
  expect_error(Fault::output, "precious.h5", [&] { hdf5::File::create(folder / "precious.h5"); });
  EXPECT_EQ(bytes_of(folder / "precious.h5"), "data");
}

}  // namespace weightscope

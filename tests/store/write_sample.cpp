// Writes a made-up run and, as JSON, what it measured: the raw sums, from which read_back.py computes every
// number of the file again by its own formulas. Usage: write_sample RUN_DIRECTORY
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "store/made_up_run.hpp"

namespace weightscope {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Measurement& m) {
  const auto& s = m.summary;
  return {{"count", s.count},
          {"zeros", s.zeros},
          {"nonfinite", s.nonfinite},
          {"mean", s.mean},
          {"m2", s.m2},
          {"m3", s.m3},
          {"m4", s.m4},
          {"min", s.min},
          {"max", s.max},
          {"distance2", s.distance2},
          {"initial2", s.initial2},
          {"overflow", m.histogram.overflow},
          {"exponent", m.histogram.exponent},
          {"bins", m.histogram.bins}};
}

Json json_of(const std::vector<Measurement>& all) {
  Json list = Json::array();
  for (const auto& m : all) list.push_back(json_of(m));
  return list;
}

Json json_of(const std::vector<NormBudget>& all) {
  Json list = Json::array();
  for (const auto& b : all)
    list.push_back({{"change", b.change},
                    {"decay", b.decay},
                    {"gradient", b.gradient},
                    {"second_order", b.second_order}});
  return list;
}

Json json_of(const Snapshot& s) {
  return {{"step", s.step},
          {"epoch", s.epoch},
          {"tokens", s.tokens},
          {"wall_time", s.wall_time},
          {"components", json_of(s.components)},
          {"heads", json_of(s.heads)},
          {"parameters", json_of(s.parameters)},
          {"update_ratio", s.update_ratio},
          {"gradient_components", json_of(s.gradient_components)},
          {"gradient_parameters", json_of(s.gradient_parameters)},
          {"budget_components", json_of(s.budget_components)},
          {"budget_parameters", json_of(s.budget_parameters)}};
}

Json tables() {
  Json train = Json::array(), eval = Json::array();
  for (std::int64_t step = 0; step < 18; ++step) {
    const auto r = made_up_train(step);
    train.push_back({{"step", r.step},
                     {"loss", r.loss},
                     {"lr", r.lr},
                     {"grad_norm", r.grad_norm},
                     {"tokens_per_second", r.tokens_per_second},
                     {"step_seconds", r.step_seconds}});
    if ((step + 1) % 5 == 0) eval.push_back({{"step", step + 1}, {"loss", made_up_eval(step + 1).loss}});
  }
  Json probe = Json::array();
  for (std::int64_t step = 0; step <= 18; step += 3) {
    const auto r = made_up_probe(made_up_header(), step);
    probe.push_back({{"step", r.step},
                     {"attention_logit_max", r.attention_logit_max},
                     {"attention_logit_rms", r.attention_logit_rms},
                     {"attention_entropy", r.attention_entropy},
                     {"residual_rms", r.residual_rms}});
  }
  Json spectra = Json::array();
  for (const std::int64_t step : {6, 12, 18}) {
    const auto r = made_up_spectra(made_up_header(), step);
    spectra.push_back({{"step", r.step},
                       {"spectral_norm", r.spectral_norm},
                       {"stable_rank", r.stable_rank},
                       {"participation_ratio", r.participation_ratio},
                       {"alpha", r.alpha},
                       {"alpha_xmin", r.alpha_xmin},
                       {"alpha_ks", r.alpha_ks},
                       {"qk_spectral_norm", r.qk_spectral_norm}});
  }
  const auto a = made_up_alarm(7);
  const auto s = made_up_segment(0);
  Json init = Json::array();
  for (const auto& r : made_up_header().init)
    init.push_back({{"name", r.name},
                    {"shape", r.shape},
                    {"kind", r.kind},
                    {"scheme", r.scheme},
                    {"expected_std", r.expected_std},
                    {"std", r.std},
                    {"mean", r.mean},
                    {"ci_low", r.ci_low},
                    {"ci_high", r.ci_high},
                    {"p_std", r.p_std},
                    {"p_mean", r.p_mean},
                    {"p_shape", r.p_shape},
                    {"tied_to", r.tied_to},
                    {"verdict", r.verdict}});
  return {{"train", train},
          {"eval", eval},
          {"probe", probe},
          {"spectra", spectra},
          {"init", init},
          {"alarms",
           {{{"step", a.step},
             {"rule", a.rule},
             {"severity", a.severity},
             {"target", a.target},
             {"value", a.value},
             {"threshold", a.threshold},
             {"message", a.message}}}},
          {"segments",
           {{{"start_step", s.start_step},
             {"world_size", s.world_size},
             {"backend", s.backend},
             {"devices", s.devices},
             {"hosts", s.hosts},
             {"job_id", s.job_id},
             {"restart_count", s.restart_count},
             {"git", s.git},
             {"seconds", 12.5},
             {"end_step", 18},
             {"status", "finished"}}}}};
}

}  // namespace

/// Killed after the snapshot of step 12; the next job goes on from the checkpoint of step 8.
void write_resumed(const std::filesystem::path& run) {
  const auto header = made_up_header();
  {
    auto file = ExperimentFile::create(run, header);
    file.begin_segment(made_up_segment(0));
    record(file, header, 0, 12);
  }
  auto file = ExperimentFile::resume(run, header, 8);
  file.begin_segment(made_up_segment(8));
  record(file, header, 8, 18);
  file.close("finished", 12.5);
}

/// `sealed`: all in experiment.h5. Otherwise snapshots after the first stay in the tail.
void write_sample(const std::filesystem::path& run, const char* name, bool sealed) {
  const auto header = made_up_header();
  auto file = ExperimentFile::create(run / name, header);
  file.begin_segment(made_up_segment(0));
  record(file, header, 0, 18);
  if (sealed) file.close("finished", 12.5);
}

}  // namespace weightscope

int main(int argc, char** argv) {
  using namespace weightscope;
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  std::filesystem::remove_all(folder);
  write_sample(folder, "sealed", true);
  write_sample(folder, "live", false);
  write_resumed(folder / "resumed");
  const auto header = made_up_header();
  Json expected{{"layers", header.layers},
                {"heads", header.heads},
                {"parameters", header.parameters},
                {"parameter_shapes", header.parameter_shapes},
                {"config", header.config_yaml},
                {"snapshots", Json::array()},
                {"tables", tables()}};
  for (const std::int64_t step : {0, 4, 8, 12, 16})
    expected["snapshots"].push_back(json_of(made_up_snapshot(header, step)));
  std::ofstream(folder / "expected.json") << expected.dump();
  return 0;
}

#pragma once
// A made-up run: snapshots whose every number differs, rows of every table.
#include <limits>
#include <string>
#include <vector>

#include "monitor/measure.hpp"
#include "monitor/scaled.hpp"
#include "monitor/snapshot.hpp"
#include "monitor/weights.hpp"
#include "store/experiment_file.hpp"

namespace weightscope {

inline ExperimentHeader made_up_header(int layers = 2, int heads = 3) {
  ExperimentHeader header;
  header.name = "made-up", header.config_yaml = "name: made-up\nnote: \"é, 日本\"\n",
  header.version = "0.1.0";
  header.layers = layers, header.heads = heads, header.head_histograms = true, header.gradients = true;
  header.parameters = {"wte.weight", "h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias", "ln_f.weight"};
  header.parameter_shapes = {"[97, 6]", "[18, 6]", "[18]", "[6]"};
  for (const auto& name : header.parameters) {
    const auto n = static_cast<double>(header.init.size());
    header.init.push_back({name, "[6]", "linear", "article", 0.02, 0.0201 + n, -1e-5, 0.019, 0.021, 0.4 + n,
                           0.5, 0.6, n == 0 ? "wte" : "", "pass"});
  }
  return header;
}

/// Weights of step `step` of one thing called `name`; some are zero, not finite or too large for the bins.
inline Measurement made_up_measurement(const std::string& name, std::int64_t step, std::size_t n) {
  auto now = normal_weights(n, name + std::to_string(step), 0.02 + 1e-4 * static_cast<double>(step), 0.001);
  const auto before = normal_weights(n, name);
  now[0] = 0, now[1] = 20, now[2] = std::numeric_limits<float>::quiet_NaN();
  auto slice = slice_of(now, name);
  slice.initial = before.data();
  return measure(std::vector{slice}, 1).front();
}

/// Gradients of the update before: far below the bins, were they not scaled.
inline Measurement made_up_gradient(const std::string& name, std::int64_t step, std::size_t n) {
  auto gradient = normal_weights(n, "gradient" + name + std::to_string(step), 1e-9, 1e-10);
  gradient[0] = 0;
  return measure_scaled(std::vector{slice_of(gradient, name)}, 1).front();
}
inline NormBudget made_up_budget(std::int64_t step, std::size_t i) {
  const auto x = static_cast<double>(step) / 7 + static_cast<double>(i);
  return {x, x / 3, -x / 5, x * x};
}
/// What is known of the update that led to step `step`; nothing of step 0.
inline void make_up_update(Snapshot& s, std::int64_t step) {
  if (step == 0) return;
  for (std::size_t i = 0; i < s.components.size(); ++i) {
    s.gradient_components.push_back(made_up_gradient("component" + std::to_string(i), step, 90 + i));
    s.budget_components.push_back(made_up_budget(step, i));
  }
  for (std::size_t i = 0; i < s.parameters.size(); ++i) {
    s.gradient_parameters.push_back(made_up_gradient("parameter" + std::to_string(i), step, 80 + i));
    s.budget_parameters.push_back(made_up_budget(step, 100 + i));
  }
}

inline Snapshot made_up_snapshot(const ExperimentHeader& header, std::int64_t step) {
  Snapshot s;
  s.step = step, s.epoch = static_cast<double>(step) / 7, s.tokens = 512.0 * static_cast<double>(step);
  s.wall_time = 0.25 * static_cast<double>(step);
  for (int i = 0; i < header.layers * 7; ++i)
    s.components.push_back(
        made_up_measurement("component" + std::to_string(i), step, 100 + static_cast<std::size_t>(i)));
  for (int i = 0; i < header.layers * 3 * header.heads; ++i)
    s.heads.push_back(
        made_up_measurement("head" + std::to_string(i), step, 50 + static_cast<std::size_t>(i)));
  for (std::size_t i = 0; i < header.parameters.size(); ++i) {
    s.parameters.push_back(made_up_measurement(header.parameters[i], step, 10 + i));
    s.update_ratio.push_back(step == 0 ? std::numeric_limits<double>::quiet_NaN()
                                       : 1.0 / static_cast<double>(i + 3 + static_cast<std::size_t>(step)));
  }
  make_up_update(s, step);
  return s;
}

inline TrainRow made_up_train(std::int64_t step) {
  const auto t = static_cast<double>(step);
  return {step, 5.5 / (t + 1), 1e-3 * t / 3, 1.0 + t / 7, 1e4 + t, 0.1 + t / 100};
}
inline EvalRow made_up_eval(std::int64_t step) { return {step, 5.0 / (static_cast<double>(step) + 2)}; }
inline ProbeRow made_up_probe(const ExperimentHeader& header, std::int64_t step) {
  const auto numbers = [&](int count, double first) {
    std::vector<double> values;
    for (int i = 0; i < count; ++i) values.push_back(first + i + static_cast<double>(step) / 7);
    return values;
  };
  const int heads = header.layers * header.heads;
  return {step, numbers(heads, 100), numbers(heads, 200), numbers(heads, 300),
          numbers(header.layers + 1, 400)};
}
inline SpectraRow made_up_spectra(const ExperimentHeader& header, std::int64_t step) {
  const auto numbers = [&](int count, double first) {
    std::vector<double> values;
    for (int i = 0; i < count; ++i) values.push_back(first + i + static_cast<double>(step) / 3);
    return values;
  };
  const int n = header.layers * 7;
  return {step,
          numbers(n, 100),
          numbers(n, 200),
          numbers(n, 300),
          numbers(n, 400),
          numbers(n, 500),
          numbers(n, 600),
          numbers(header.layers * header.heads, 700)};
}
inline AlarmRow made_up_alarm(std::int64_t step) {
  return {step, "loss_spike", "warning", "loss", 7.25, 6.5, "loss é at step " + std::to_string(step)};
}
inline SegmentRow made_up_segment(std::int64_t start, int world = 2) {
  SegmentRow row;
  row.start_step = start, row.world_size = world, row.restart_count = 1;
  row.backend = "mpi", row.devices = "cpu", row.hosts = "node-1", row.job_id = "17", row.git = "abc",
  row.status = "running";
  return row;
}

/// Records updates [from, to) with a snapshot after every `every`th; an eval after every fifth, a probe after
/// every third, spectra after every sixth, an alarm at the seventh. `File`: ExperimentFile or
/// ExperimentWriter.
template <class File>
void record(File& file, const ExperimentHeader& header, std::int64_t from, std::int64_t to,
            std::int64_t every = 4) {
  if (from == 0) file.add(made_up_probe(header, 0)), file.append(made_up_snapshot(header, 0));
  for (std::int64_t step = from; step < to; ++step) {
    file.add(made_up_train(step));
    if (step == 7) file.add(made_up_alarm(step));
    if ((step + 1) % 5 == 0) file.add(made_up_eval(step + 1));
    if ((step + 1) % 3 == 0) file.add(made_up_probe(header, step + 1));
    if ((step + 1) % 6 == 0) file.add(made_up_spectra(header, step + 1));
    if ((step + 1) % every == 0) file.append(made_up_snapshot(header, step + 1));
  }
}

}  // namespace weightscope

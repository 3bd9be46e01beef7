#include "store/schema.hpp"

#include <algorithm>
#include <numeric>

namespace weightscope {
namespace {

using hdf5::Axis;
using hdf5::DatasetSpec;
using hdf5::Type;

std::uint64_t size_of_axis(int n) { return static_cast<std::uint64_t>(n); }

const Axis kSnapshotAxis{"snapshot_step", 0, true},
    kComponentAxis{"component", kComponentNames.size(), false}, kQkvAxis{"qkv", 3, false},
    kBinAxis{"bin", Histogram::kBins, false};
Axis layer_axis(const ExperimentHeader& h) { return {"layer", size_of_axis(h.layers), false}; }
Axis head_axis(const ExperimentHeader& h) { return {"head", size_of_axis(h.heads), false}; }
Axis parameter_axis(const ExperimentHeader& h) { return {"parameter", h.parameters.size(), false}; }

std::vector<std::int32_t> first_numbers(int n) {
  std::vector<std::int32_t> numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

FixedDataset coordinate(const std::string& name, Type type, hdf5::Values values, const std::string& unit,
                        const std::string& meaning) {
  const auto n = hdf5::size(values);
  return {{name, type, {{name, n, false}}, unit, meaning}, std::move(values)};
}

std::vector<double> edges() {
  std::vector<double> e;
  for (int i = 0; i <= Histogram::kBins; ++i) e.push_back(bin_edge(i));
  return e;
}

std::vector<double> centres() {
  std::vector<double> c;
  for (int i = 0; i < Histogram::kBins; ++i) c.push_back((bin_edge(i) + bin_edge(i + 1)) / 2);
  return c;
}

/// What a number can be recorded for: the prefix of its datasets, where the measurements are, their axes.
struct Target {
  unsigned scope;
  std::string prefix;
  const std::vector<Measurement> Snapshot::*of;
  std::vector<Axis> axes;
};

std::vector<Target> targets(const ExperimentHeader& h) {
  std::vector<Target> all{
      {kPerComponent, "", &Snapshot::components, {kSnapshotAxis, layer_axis(h), kComponentAxis}}};
  if (h.head_summaries)
    all.push_back(
        {kPerHead, "head_", &Snapshot::heads, {kSnapshotAxis, layer_axis(h), kQkvAxis, head_axis(h)}});
  all.push_back({kPerParameter, "parameter_", &Snapshot::parameters, {kSnapshotAxis, parameter_axis(h)}});
  return all;
}

SnapshotDataset histogram_of(const Target& target) {
  auto axes = target.axes;
  axes.push_back(kBinAxis);
  return {{target.prefix + "histogram", Type::u64, axes, "1", "elements in each bin", true},
          SnapshotDataset::Binned{target.of}};
}

void add_gradients(const ExperimentHeader& h, std::vector<SnapshotDataset>& all) {
  const std::vector<Target> of_gradient{{kPerComponent,
                                         "gradient_",
                                         &Snapshot::gradient_components,
                                         {kSnapshotAxis, layer_axis(h), kComponentAxis}},
                                        {kPerParameter,
                                         "parameter_gradient_",
                                         &Snapshot::gradient_parameters,
                                         {kSnapshotAxis, parameter_axis(h)}}};
  for (const auto& target : of_gradient)
    for (const auto& s : kGradientStatistics)
      if ((s.scopes & target.scope) != 0)
        all.push_back({{target.prefix + std::string(s.name), Type::f64, target.axes, std::string(s.unit),
                        std::string(s.meaning)},
                       SnapshotDataset::Derived{target.of, s.of}});
  const auto& components = of_gradient.front();
  all.push_back({{"gradient_exponent", Type::i64, components.axes, "1",
                  "gradient_histogram counts the gradient times 2 to this power"},
                 SnapshotDataset::Scaled{components.of}});
  all.push_back(histogram_of(components));
}

void add_budgets(const ExperimentHeader& h, std::vector<SnapshotDataset>& all) {
  const auto add = [&](const std::string& prefix, const std::vector<NormBudget> Snapshot::*of,
                       const std::vector<Axis>& axes) {
    for (const auto& term : kBudgetTerms)
      all.push_back({{prefix + "norm_budget_" + std::string(term.name), Type::f64, axes, "weight^2",
                      std::string(term.meaning)},
                     SnapshotDataset::Budgeted{of, term.of}});
  };
  add("", &Snapshot::budget_components, {kSnapshotAxis, layer_axis(h), kComponentAxis});
  add("parameter_", &Snapshot::budget_parameters, {kSnapshotAxis, parameter_axis(h)});
}

}  // namespace

std::vector<FixedDataset> fixed_datasets(const ExperimentHeader& h) {
  auto shapes = h.parameter_shapes;
  shapes.resize(h.parameters.size());
  std::vector<std::string> components(kComponentNames.begin(), kComponentNames.end());
  std::vector<FixedDataset> all{
      coordinate("layer", Type::i32, first_numbers(h.layers), "1", "transformer block, from the input"),
      coordinate("component", Type::text, components, "1", "matrix of the block"),
      coordinate("head", Type::i32, first_numbers(h.heads), "1", "attention head"),
      coordinate("qkv", Type::text, std::vector<std::string>{"q", "k", "v"}, "1", "query, key or value"),
      coordinate("parameter", Type::text, h.parameters, "1", "tensor, by its GPT-2 name"),
      coordinate("bin", Type::f64, centres(), "weight", "centre of a bin of the histograms"),
      coordinate("bin_edge", Type::f64, edges(), "weight", "edges of the bins, one more than bins"),
      {{"parameter_shape", Type::text, {parameter_axis(h)}, "1", "shape of the tensor"}, shapes}};
  if (h.probes)
    all.push_back(
        coordinate("residual_layer", Type::i32, first_numbers(h.layers + 1), "1",
                   "block before which the residual stream is measured; the last: after all blocks"));
  return all;
}

std::vector<Axis> axes_of(Extent extent, const ExperimentHeader& h) {
  switch (extent) {
    case Extent::layer_head:
      return {layer_axis(h), head_axis(h)};
    case Extent::layer_component:
      return {layer_axis(h), kComponentAxis};
    case Extent::residual:
      return {{"residual_layer", size_of_axis(h.layers + 1), false}};
    case Extent::one:
      break;
  }
  return {};
}

DatasetSpec parameter_count_spec(const ExperimentHeader& h) {
  return {"parameter_count", Type::u64, {parameter_axis(h)}, "1", "elements of the tensor"};
}

hdf5::Values parameter_counts(const Snapshot& snapshot) {
  std::vector<std::uint64_t> counts;
  for (const auto& m : snapshot.parameters) counts.push_back(m.summary.count);
  return counts;
}

std::vector<SnapshotDataset> snapshot_datasets(const ExperimentHeader& h) {
  std::vector<SnapshotDataset> all{
      {{"snapshot_step", Type::i64, {kSnapshotAxis}, "step", "updates done when measured"}, &Snapshot::step},
      {{"epoch", Type::f64, {kSnapshotAxis}, "epoch", "passes over the training data"}, &Snapshot::epoch},
      {{"tokens", Type::f64, {kSnapshotAxis}, "token", "tokens trained on"}, &Snapshot::tokens},
      {{"wall_time", Type::f64, {kSnapshotAxis}, "s", "time since the start of the run"},
       &Snapshot::wall_time,
       Repeatable::no}};
  for (const auto& target : targets(h)) {
    for (const auto& s : kStatistics)
      if ((s.scopes & target.scope) != 0 && ((s.scopes & kOfInitial) == 0 || h.displacement))
        all.push_back({{target.prefix + std::string(s.name), Type::f64, target.axes, std::string(s.unit),
                        std::string(s.meaning)},
                       SnapshotDataset::Derived{target.of, s.of}});
    for (const auto& c : kCounts)
      if ((c.scopes & target.scope) != 0)
        all.push_back(
            {{target.prefix + std::string(c.name), Type::u64, target.axes, "1", std::string(c.meaning)},
             SnapshotDataset::Counted{target.of, c.of}});
    if (target.scope == kPerComponent || (target.scope == kPerHead && h.head_histograms))
      all.push_back(histogram_of(target));
  }
  all.push_back({{"update_ratio",
                  Type::f64,
                  {kSnapshotAxis, parameter_axis(h)},
                  "1",
                  "norm of the last update over that of the tensor"},
                 &Snapshot::update_ratio});
  if (h.gradients) add_gradients(h, all), add_budgets(h, all);
  std::erase_if(all, [&](const SnapshotDataset& dataset) {
    return std::find(h.lacks.begin(), h.lacks.end(), dataset.spec.path) != h.lacks.end();
  });
  return all;
}

hdf5::Values SnapshotDataset::row(const Snapshot& snapshot) const {
  struct Visitor {
    const Snapshot& s;
    std::size_t size;  // of the row
    hdf5::Values operator()(std::int64_t Snapshot::*member) const { return std::vector{s.*member}; }
    hdf5::Values operator()(double Snapshot::*member) const { return std::vector{s.*member}; }
    hdf5::Values operator()(std::vector<double> Snapshot::*member) const { return s.*member; }
    hdf5::Values operator()(const Derived& d) const {
      std::vector<double> values;
      for (const auto& m : s.*d.of) values.push_back(d.value(m.summary));
      values.resize(size, statistics::kUndefined);
      return values;
    }
    hdf5::Values operator()(const Counted& c) const {
      std::vector<std::uint64_t> values;
      for (const auto& m : s.*c.of) values.push_back(c.value(m));
      return values;
    }
    hdf5::Values operator()(const Binned& b) const {
      std::vector<std::uint64_t> values;
      for (const auto& m : s.*b.of)
        values.insert(values.end(), m.histogram.bins.begin(), m.histogram.bins.end());
      values.resize(size);
      return values;
    }
    hdf5::Values operator()(const Scaled& e) const {
      std::vector<std::int64_t> values;
      for (const auto& m : s.*e.of) values.push_back(m.histogram.exponent);
      values.resize(size);
      return values;
    }
    hdf5::Values operator()(const Budgeted& b) const {
      std::vector<double> values;
      for (const auto& budget : s.*b.of) values.push_back(b.value(budget));
      values.resize(size, statistics::kUndefined);
      return values;
    }
  };
  return std::visit(Visitor{snapshot, static_cast<std::size_t>(spec.row_size())}, source);
}

DatasetSpec row_index_spec(std::string_view group, std::uint64_t rows, bool grows) {
  const auto path = std::string(group) + "/row";
  return {path, Type::i64, {{path, rows, grows}}, "1", "number of the row"};
}

bool is_row_index(const DatasetSpec& spec) { return spec.path.ends_with("/row"); }

std::vector<DatasetSpec> growing_datasets(const ExperimentHeader& header) {
  std::vector<DatasetSpec> all;
  for (const auto& dataset : snapshot_datasets(header)) all.push_back(dataset.spec);
  const Rows none;
  for_each_table(none, [&](const auto& table, const auto&) {
    if (!table.grows || !recorded(table, header)) return;
    if (table.index == "row") all.push_back(row_index_spec(table.group, 0, true));
    for (const auto& column : table.columns) all.push_back(column_spec(table, column, 0, header));
  });
  return all;
}

bool in_tail(const DatasetSpec& spec) {
  bool found = true;
  const Rows none;
  for_each_table(none, [&](const auto& table, const auto&) {
    if (table.where == Where::sealed && spec.path.starts_with(std::string(table.group) + "/")) found = false;
  });
  return found;
}

hdf5::Values table_values(const DatasetSpec& spec, const Rows& rows) {
  auto values = hdf5::empty(spec.type);
  for_each_table(rows, [&](const auto& table, const auto& of) {
    for (const auto& column : table.columns)
      if (table.grows && spec.path == std::string(table.group) + "/" + std::string(column.name))
        values = values_of(column, std::span(of));
  });
  return values;
}

}  // namespace weightscope

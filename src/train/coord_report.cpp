#include "train/coord_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/error.hpp"

namespace weightscope {
namespace {

using Numbers = std::vector<std::vector<std::vector<double>>>;  // [step][width][seed]

Numbers numbers(std::size_t steps, const CoordPlan& plan) {
  return Numbers(steps,
                 std::vector(plan.widths.size(), std::vector<double>(static_cast<std::size_t>(plan.seeds))));
}

const char* name_of(Parametrization which) { return which == Parametrization::mup ? "muP" : "standard"; }

/// Rows in pairs: size and change of each quantity.
CoordTable empty_table(const RunConfig& config, const CoordPlan& plan, Parametrization which) {
  CoordTable table;
  table.which = which;
  const auto steps = static_cast<std::size_t>(plan.steps);
  for (const auto& quantity : coord_quantities(config.model.layers))
    for (const auto measure : {CoordMeasure::size, CoordMeasure::change})
      table.rows.push_back({quantity, measure, numbers(steps + 1, plan), {}, ""});
  table.losses = numbers(steps, plan);
  return table;
}

void enter(CoordTable& table, const CoordSizes& sizes, std::size_t width, std::size_t seed) {
  for (std::size_t step = 0; step < sizes.size.size(); ++step)
    for (std::size_t q = 0; q < sizes.size[step].size(); ++q) {
      table.rows[2 * q].sizes[step][width][seed] = sizes.size[step][q];
      table.rows[2 * q + 1].sizes[step][width][seed] = sizes.change[step][q];
    }
  for (std::size_t step = 0; step < sizes.loss.size(); ++step)
    table.losses[step][width][seed] = sizes.loss[step];
}

/// "mlp" of "h.2.mlp"; what is outside the layers is itself.
std::string kind_of(const std::string& quantity) { return quantity.substr(quantity.rfind('.') + 1); }
bool of_a_layer(const CoordRow& row) { return row.quantity.starts_with("h."); }

/// The geometric mean of rows that differ in their layer only: single layers scatter more than there are
/// seeds to tell.
CoordRow mean_of(const std::vector<const CoordRow*>& rows) {
  auto mean = *rows.front();
  mean.quantity = kind_of(mean.quantity);
  for (std::size_t step = 0; step < mean.sizes.size(); ++step)
    for (std::size_t w = 0; w < mean.sizes[step].size(); ++w)
      for (std::size_t s = 0; s < mean.sizes[step][w].size(); ++s) {
        double logs = 0;
        for (const auto* row : rows) logs += std::log(row->sizes[step][w][s]);
        mean.sizes[step][w][s] = std::exp(logs / static_cast<double>(rows.size()));
      }
  return mean;
}

/// Puts embedding, the four kinds of a layer as means over layers, and logits before the rows of the layers.
void add_means(std::vector<CoordRow>& rows) {
  std::vector<CoordRow> all;
  for (const char* kind : {"embedding", "attention_logits", "attention", "mlp", "residual", "logits"})
    for (const auto measure : {CoordMeasure::size, CoordMeasure::change}) {
      std::vector<const CoordRow*> same;
      for (const auto& row : rows)
        if (kind_of(row.quantity) == kind && row.measure == measure) same.push_back(&row);
      all.push_back(mean_of(same));
    }
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(all), of_a_layer);
  rows = std::move(all);
}

/// Where heads widen q·k is a sum over more features, over D: until training has correlated q and k, which
/// takes more than a few steps, it fades with D's root, and its change with it.
bool may_fade(const CoordRow& row, const CoordPlan& plan) {
  return plan.grow == Grow::head_width && kind_of(row.quantity) == "attention_logits";
}

void judge(CoordTable& table, const CoordPlan& plan) {
  add_means(table.rows);
  for (auto& row : table.rows) {
    for (const auto& sizes : row.sizes) row.slopes.push_back(fit_slope(plan.widths, sizes));
    row.verdict = coord_verdict(may_fade(row, plan) ? CoordMeasure::size : row.measure, row.slopes.back());
  }
  const auto any = [&](const auto& is) { return std::any_of(table.rows.begin(), table.rows.end(), is); };
  table.verdict = any([](const auto& row) { return row.verdict.starts_with("fail"); }) ? "fail"
                  : any([](const auto& row) { return row.verdict == "unclear" && !of_a_layer(row); })
                      ? "unclear"
                      : "pass";
}

std::string progress_text(Parametrization which, int width, std::uint64_t seed, const CoordSizes& sizes) {
  char text[128];
  std::snprintf(text, sizeof text, "%s, width %d, seed %lu: loss %.4f → %.4f", name_of(which), width,
                static_cast<unsigned long>(seed), sizes.loss.front(), sizes.loss.back());
  return text;
}

}  // namespace

std::vector<int> default_widths(const ModelConfig& model, Grow grow) {
  const int unit = grow == Grow::heads ? model.width / model.heads : model.heads;
  constexpr int kSmallest = 64;
  const int base = model.mup_base_width > 0 ? model.mup_base_width : (kSmallest + unit - 1) / unit * unit;
  return {base, 2 * base, 4 * base, 8 * base};
}

const std::string& CoordReport::verdict() const {
  const auto mup = std::find_if(tables.begin(), tables.end(),
                                [](const auto& t) { return t.which == Parametrization::mup; });
  return (mup == tables.end() ? tables.front() : *mup).verdict;
}

CoordReport coord_report(const RunConfig& config, const CoordPlan& plan, const HostComm& host,
                         const TokenFile& file, const std::function<void(const std::string&)>& note) {
  const int base = config.model.mup_base_width > 0 ? config.model.mup_base_width : plan.widths.front();
  const auto at = [&](Parametrization which, int width, std::uint64_t seed) {
    return coord_config(config, which, width, base, plan.grow, seed);
  };
  for (const auto which : plan.which)
    for (const int width : plan.widths) (void)at(which, width, config.seed);

  CoordReport report{config.name, plan, base, config.seed, {}};
  for (const auto which : plan.which) {
    auto table = empty_table(config, plan, which);
    for (std::size_t w = 0; w < plan.widths.size(); ++w)
      for (std::size_t s = 0; s < static_cast<std::size_t>(plan.seeds); ++s) {
        const auto seed = config.seed + s;
        const auto sizes = coordinate_sizes(at(which, plan.widths[w], seed), host, file, plan.steps);
        enter(table, sizes, w, s);
        note(progress_text(which, plan.widths[w], seed, sizes));
      }
    judge(table, plan);
    report.tables.push_back(std::move(table));
  }
  return report;
}

}  // namespace weightscope

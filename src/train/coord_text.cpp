// The report of a coordinate check as text and as JSON.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "train/coord_report.hpp"

namespace weightscope {
namespace {

using Json = nlohmann::ordered_json;

const char* measure_name(CoordMeasure measure) { return measure == CoordMeasure::size ? "size" : "change"; }
const char* table_name(Parametrization which) { return which == Parametrization::mup ? "mup" : "standard"; }

double geometric_mean(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += std::log(value);
  return std::exp(sum / static_cast<double>(x.size()));
}

template <class... A>
std::string line(const char* format, A... values) {
  char text[160];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

/// Layers are shown where they fail and their mean does not say so.
bool is_shown(const CoordRow& row, const CoordTable& table) {
  if (!row.quantity.starts_with("h.")) return true;
  const bool mean_fails = std::any_of(table.rows.begin(), table.rows.end(), [&](const auto& other) {
    return row.quantity.ends_with("." + other.quantity) && row.measure == other.measure &&
           other.verdict.starts_with("fail");
  });
  return row.verdict.starts_with("fail") && !mean_fails;
}

std::string table_text(const CoordTable& table, const CoordReport& report) {
  std::size_t longest = 8;
  for (const auto& row : table.rows) longest = std::max(longest, row.quantity.size());
  const int name = static_cast<int>(longest);
  std::string out = line("%-*s  %-6s", name, "quantity", "");
  for (const int width : report.plan.widths) out += line(" %9d", width);
  out += "   slope   95 % interval     verdict\n";
  for (const auto& row : table.rows) {
    if (!is_shown(row, table)) continue;
    out += line("%-*s  %-6s", name, row.quantity.c_str(), measure_name(row.measure));
    for (const auto& seeds : row.sizes.back()) out += line(" %9.3g", geometric_mean(seeds));
    const auto& s = row.slopes.back();
    out += line("  %6.2f   %6.2f … %5.2f    ", s.slope, s.low, s.high) + row.verdict + "\n";
  }
  return out;
}

Json json_of(const CoordRow& row) {
  Json slopes = Json::array();
  for (std::size_t step = 0; step < row.slopes.size(); ++step) {
    const auto& s = row.slopes[step];
    slopes.push_back({{"step", step}, {"slope", s.slope}, {"ci_low", s.low}, {"ci_high", s.high}});
  }
  return {{"quantity", row.quantity},
          {"measure", measure_name(row.measure)},
          {"sizes", row.sizes},
          {"slopes", slopes},
          {"verdict", row.verdict}};
}

}  // namespace

std::string to_text(const CoordReport& r) {
  const char* grows = r.plan.grow == Grow::heads ? "more heads" : "wider heads";
  std::string out =
      line("%s: %ld steps, %d seeds, %s with the width, muP's base width %d\n", r.config.c_str(),
           static_cast<long>(r.plan.steps), r.plan.seeds, grows, r.base_width);
  out += line("mean |x| after the last step (size) and of its change since the start (change), over seeds\n");
  for (const auto& table : r.tables)
    out += std::string("\n") + table_name(table.which) + "\n" + table_text(table, r) +
           "verdict: " + table.verdict +
           (table.verdict == "unclear" ? ": more --seeds, or a smaller optimizer.lr\n" : "\n");
  return out;
}

std::string to_json(const CoordReport& r) {
  Json seeds = Json::array(), tables = Json::array();
  for (int i = 0; i < r.plan.seeds; ++i) seeds.push_back(r.first_seed + static_cast<std::uint64_t>(i));
  for (const auto& table : r.tables) {
    Json rows = Json::array();
    for (const auto& row : table.rows) rows.push_back(json_of(row));
    tables.push_back({{"parameterization", table_name(table.which)},
                      {"quantities", rows},
                      {"losses", table.losses},
                      {"verdict", table.verdict}});
  }
  return Json{{"name", r.config},
              {"widths", r.plan.widths},
              {"steps", r.plan.steps},
              {"seeds", seeds},
              {"grow", r.plan.grow == Grow::heads ? "heads" : "head_width"},
              {"base_width", r.base_width},
              {"tolerance", kCoordTolerance},
              {"parameterizations", tables},
              {"verdict", r.verdict()}}
             .dump(1) +
         "\n";
}

}  // namespace weightscope

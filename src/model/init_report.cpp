#include "model/init_report.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

#include "model/slices.hpp"
#include "monitor/measure.hpp"

namespace weightscope {
namespace {

constexpr double kFamilyLevel = 1e-3;  // chance that a correct initialization is called wrong

/// z with P(|Z| > z) = level / tests, by bisection of erfc: no table, no library.
double critical_value(double level, std::size_t tests) {
  double low = 0, high = 40;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(middle / std::sqrt(2.0)) > level / static_cast<double>(tests) ? low : high) = middle;
  }
  return high;
}

const char* kind_text(ParameterKind kind) {
  switch (kind) {
    case ParameterKind::linear:
      return "linear";
    case ParameterKind::residual_projection:
      return "residual projection";
    case ParameterKind::embedding:
      return "embedding";
    case ParameterKind::position:
      return "position";
    case ParameterKind::head:
      return "head";
    case ParameterKind::bias:
      return "bias";
    case ParameterKind::norm_weight:
      return "norm weight";
  }
  return "";
}

std::string judge(const Summary& s, const Distribution& d, double expected, double z) {
  if (s.nonfinite > 0) return "fail: not finite";
  const double n = static_cast<double>(s.count), std = std::sqrt(s.m2 / n);
  if (d.family == Family::constant)
    return static_cast<double>(s.min) == d.spread && static_cast<double>(s.max) == d.spread
               ? "pass"
               : "fail: not constant";
  if (s.m2 <= 0) return "fail: constant";
  const double kurtosis = n * s.m4 / (s.m2 * s.m2) - 3;
  const double tolerance = z * expected * std::sqrt(std::max(kurtosis + 2, 0.1) / (4 * n)) + 1e-6 * expected;
  if (std::abs(std - expected) > tolerance) return "fail: std";
  if (std::abs(s.mean) > z * expected / std::sqrt(n) + 1e-12) return "fail: mean";
  return "pass";
}

}  // namespace

InitReport report_initialization(const ParamStore& store, const std::vector<PlannedInit>& plan) {
  InitReport report;
  const auto measured = measure(whole_parameters(store, store.master()));
  const double z = critical_value(kFamilyLevel, 2 * plan.size());
  for (const auto& planned : plan) {
    const auto at = static_cast<std::size_t>(planned.parameter);
    const auto& p = store.parameters()[at];
    const auto& s = measured[at].summary;
    const double n = static_cast<double>(s.count), std = std::sqrt(s.m2 / n);
    const double kurtosis = s.m2 > 0 ? n * s.m4 / (s.m2 * s.m2) - 3 : 0,
                 half = 1.96 * std * std::sqrt(std::max(kurtosis + 2, 0.0) / (4 * n));
    InitRow row;
    row.name = p.name, row.shape = shape_text(p.shape), row.kind = kind_text(p.kind),
    row.scheme = planned.scheme;
    row.expected_std = planned.distribution.expected_std(p.rows(), p.columns());
    row.std = std, row.mean = s.mean, row.ci_low = std - half, row.ci_high = std + half;
    row.tied_to = planned.tied_to;
    row.verdict = judge(s, planned.distribution, row.expected_std, z);
    report.pass = report.pass && row.verdict == "pass";
    report.rows.push_back(row);
    if (!planned.note.empty()) report.notes.push_back(planned.note);
  }
  return report;
}

std::string to_text(const InitReport& report) {
  std::size_t width = 9;
  for (const auto& r : report.rows) width = std::max(width, r.name.size());
  std::ostringstream out;
  out << std::left << std::setw(static_cast<int>(width)) << "parameter"
      << "  shape          expected std  measured std  95 % interval           mean        verdict\n";
  out << std::setprecision(5);
  for (const auto& r : report.rows) {
    std::ostringstream interval;
    interval << std::setprecision(5) << r.ci_low << " … " << r.ci_high;
    out << std::setw(static_cast<int>(width)) << r.name << "  " << std::setw(14) << r.shape << " "
        << std::setw(13) << r.expected_std << " " << std::setw(13) << r.std << " " << std::setw(23 + 2)
        << interval.str() << " " << std::setw(11) << r.mean << " " << r.verdict
        << (r.tied_to.empty() ? "" : "  (tied to " + r.tied_to + ")") << "\n";
  }
  for (const auto& note : report.notes) out << "note: " << note << "\n";
  out << "verdict: " << (report.pass ? "pass" : "fail") << "\n";
  return out.str();
}

std::string to_json(const InitReport& report) {
  nlohmann::ordered_json parameters = nlohmann::ordered_json::array();
  for (const auto& r : report.rows)
    parameters.push_back({{"name", r.name},
                          {"shape", nlohmann::json::parse(r.shape)},
                          {"kind", r.kind},
                          {"scheme", r.scheme},
                          {"expected_std", r.expected_std},
                          {"std", r.std},
                          {"mean", r.mean},
                          {"ci_low", r.ci_low},
                          {"ci_high", r.ci_high},
                          {"tied_to", r.tied_to},
                          {"verdict", r.verdict}});
  return nlohmann::ordered_json{
      {"parameters", parameters}, {"notes", report.notes}, {"verdict", report.pass ? "pass" : "fail"}}
      .dump(1);
}

}  // namespace weightscope

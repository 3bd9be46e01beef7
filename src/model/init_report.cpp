#include "model/init_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "model/init_tests.hpp"
#include "model/slices.hpp"
#include "monitor/measure.hpp"

namespace weightscope {
namespace {

/// Chance that a correct initialization is called wrong. Small, because training starts only after a pass.
constexpr double kFamilyLevel = 1e-6;

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

/// "0.42", "1e-09", or "-" where there was no test.
std::string p_text(double p) {
  if (std::isnan(p)) return "-";
  char text[16];
  std::snprintf(text, sizeof text, p < 0.005 ? "%.0e" : "%.2f", p);
  return text;
}

constexpr const char* kNotFinite = "fail: not finite";

/// What needs no test: "" or the verdict.
std::string judge_exactly(const Summary& s, const Distribution& d) {
  if (s.nonfinite > 0) return kNotFinite;
  if (d.family == Family::constant)
    return static_cast<double>(s.min) == d.spread && static_cast<double>(s.max) == d.spread
               ? "pass"
               : "fail: not constant";
  return s.m2 <= 0 ? "fail: constant" : "";
}

InitRow row_of(const AuditedTensor& tensor, const PlannedInit& planned) {
  const auto& p = *tensor.parameter;
  const auto& s = tensor.measured.summary;
  const auto& d = planned.distribution;
  InitRow row;
  row.name = tensor.name, row.shape = shape_text(p.shape), row.kind = kind_text(p.kind);
  row.scheme = planned.scheme, row.tied_to = planned.tied_to;
  row.expected_std = d.expected_std(p.rows(), p.columns());
  row.std = std::sqrt(s.m2 / static_cast<double>(s.count)), row.mean = s.mean;
  const auto interval = std_interval(s, d);
  row.ci_low = interval.low, row.ci_high = interval.high;
  const auto tests = test_against(tensor.measured, d, row.expected_std, tensor.stored);
  row.p_std = tests.p_std, row.p_mean = tests.p_mean, row.p_shape = tests.p_shape;
  row.verdict = judge_exactly(s, d);
  return row;
}

/// The verdicts of all tests together.
void judge(std::vector<InitRow>& rows) {
  struct Test {
    InitRow* row;
    const char* what;
  };
  std::vector<Test> tests;
  std::vector<double> p;
  for (auto& row : rows) {
    if (!row.verdict.empty()) continue;
    row.verdict = "pass";
    for (const auto& [what, value] :
         {std::pair{"std", row.p_std}, std::pair{"mean", row.p_mean}, std::pair{"shape", row.p_shape}})
      tests.push_back({&row, what}), p.push_back(value);
  }
  const auto rejected = holm(p, kFamilyLevel);
  for (std::size_t i = 0; i < tests.size(); ++i)
    if (rejected[i] && tests[i].row->verdict == "pass")
      tests[i].row->verdict = "fail: " + std::string(tests[i].what);
}

}  // namespace

InitReport report_initialization(std::span<const AuditedTensor> tensors,
                                 const std::vector<PlannedInit>& plan) {
  InitReport report;
  for (const auto& planned : plan) {
    report.rows.push_back(row_of(tensors[static_cast<std::size_t>(planned.parameter)], planned));
    if (!planned.note.empty()) report.notes.push_back(planned.note);
  }
  judge(report.rows);
  for (const auto& row : report.rows) report.pass = report.pass && row.verdict == "pass";
  return report;
}

InitReport report_initialization(const ParamStore& store, const std::vector<PlannedInit>& plan) {
  const auto measured = measure(whole_parameters(store, store.master()));
  std::vector<AuditedTensor> tensors;
  for (std::size_t i = 0; i < measured.size(); ++i)
    tensors.push_back({store.parameters()[i].name, &store.parameters()[i], measured[i], DType::f32});
  return report_initialization(tensors, plan);
}

InitReport imported(InitReport report, const std::string& from) {
  for (auto& row : report.rows)
    row.scheme = "from " + from, row.verdict = row.verdict == kNotFinite ? kNotFinite : "imported",
    row.expected_std = row.p_std = row.p_mean = row.p_shape = std::nan("");
  report.notes.clear();
  report.pass = std::none_of(report.rows.begin(), report.rows.end(),
                             [](const auto& row) { return row.verdict == kNotFinite; });
  return report;
}

std::string to_text(const InitReport& report) {
  std::size_t width = 9;
  for (const auto& r : report.rows) width = std::max(width, r.name.size());
  std::ostringstream out;
  out << std::left << std::setw(static_cast<int>(width)) << "parameter"
      << "  shape          expected std  measured std  95 % interval           mean        "
      << "p: std mean shape   verdict\n";
  out << std::setprecision(5);
  for (const auto& r : report.rows) {
    std::ostringstream interval;
    interval << std::setprecision(5) << r.ci_low << " … " << r.ci_high;
    out << std::setw(static_cast<int>(width)) << r.name << "  " << std::setw(14) << r.shape << " "
        << std::setw(13) << r.expected_std << " " << std::setw(13) << r.std << " " << std::setw(23 + 2)
        << interval.str() << " " << std::setw(11) << r.mean << " ";
    for (const double p : {r.p_std, r.p_mean, r.p_shape}) out << std::setw(6) << p_text(p) << " ";
    out << r.verdict << (r.tied_to.empty() ? "" : "  (tied to " + r.tied_to + ")") << "\n";
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
                          {"p_std", r.p_std},
                          {"p_mean", r.p_mean},
                          {"p_shape", r.p_shape},
                          {"tied_to", r.tied_to},
                          {"verdict", r.verdict}});
  return nlohmann::ordered_json{
      {"parameters", parameters}, {"notes", report.notes}, {"verdict", report.pass ? "pass" : "fail"}}
      .dump(1);
}

}  // namespace weightscope

#include "monitor/statistics.hpp"

#include "monitor/norm_budget.hpp"

namespace weightscope {
namespace {

std::string datasets(std::string_view name, unsigned scopes, const std::string& of = "") {
  std::string text;
  const auto add = [&](unsigned scope, const char* prefix) {
    if ((scopes & scope) == 0) return;
    text += (text.empty() ? "`" : ", `") + std::string(prefix) + of + std::string(name) + "`";
  };
  add(kPerComponent, ""), add(kPerHead, "head_"), add(kPerParameter, "parameter_");
  return text;
}

}  // namespace

std::string statistics_reference() {
  std::string text = "| dataset | unit | what it is | source |\n|---|---|---|---|\n";
  for (const auto& s : kStatistics)
    text += "| " + datasets(s.name, s.scopes) + " | " + std::string(s.unit) + " | " + std::string(s.meaning) +
            " | " + std::string(s.source) + " |\n";
  for (const auto& s : kGradientStatistics)
    text += "| " + datasets(s.name, s.scopes, "gradient_") + " | " + std::string(s.unit) + " | " +
            std::string(s.meaning) + " | " + std::string(s.source) + " |\n";
  for (const auto& b : kBudgetTerms)
    text += "| " + datasets(b.name, kPerComponent | kPerParameter, "norm_budget_") + " | weight^2 | " +
            std::string(b.meaning) + " | |\n";
  for (const auto& c : kCounts)
    text += "| " + datasets(c.name, c.scopes) + " | 1 | " + std::string(c.meaning) + " | |\n";
  return text;
}

}  // namespace weightscope

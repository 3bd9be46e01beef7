#include "model/initialize.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <sstream>

#include "core/error.hpp"
#include "model/mup.hpp"

namespace weightscope {
namespace {

InitContext context_of(const RunConfig& c, const Parameter& p, ParameterKind kind, double std) {
  return {kind, p.rows(), p.columns(), p.layer, c.model.layers, c.model.width, std, mup_base_ratio(c.model)};
}

std::string number(double x) {
  std::ostringstream out;
  out.precision(4);
  out << x;
  return out.str();
}

}  // namespace

bool glob_match(const std::string& pattern, const std::string& name) {
  std::size_t p = 0, n = 0, star = std::string::npos, resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++, resume = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p, ++n;
    } else if (star != std::string::npos) {
      p = star + 1, n = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string::npos;
}

std::vector<PlannedInit> plan_initialization(const RunConfig& config, const std::vector<Parameter>& table) {
  const auto& row = scheme(config.init.scheme);
  std::vector<PlannedInit> plan;
  for (std::size_t i = 0; i < table.size(); ++i)
    plan.push_back({static_cast<int>(i), row.of(context_of(config, table[i], table[i].kind, config.init.std)),
                    std::string(row.name()), "", ""});
  if (config.model.tied && !table.empty() && table.front().name == "wte.weight") {
    auto& wte = plan.front();
    const auto& p = table.front();
    const double first = wte.distribution.expected_std(p.rows(), p.columns());
    wte.distribution = row.of(context_of(config, p, ParameterKind::head, config.init.std));
    wte.tied_to = "lm_head.weight";
    wte.note = "wte.weight and the head are one tensor: written as an Embedding first (std " + number(first) +
               "), then as the head's Linear, which is visited last (std " +
               number(wte.distribution.expected_std(p.rows(), p.columns())) + ")";
  }
  for (const auto& rule : config.init.rules) {
    bool matched = false;
    for (auto& planned : plan) {
      const auto& p = table[static_cast<std::size_t>(planned.parameter)];
      const bool as_head = !planned.tied_to.empty() && glob_match(rule.match, planned.tied_to);
      if (!as_head && !glob_match(rule.match, p.name)) continue;
      const auto& by = scheme(rule.scheme);
      planned.distribution = by.of(context_of(config, p, as_head ? ParameterKind::head : p.kind, rule.std));
      planned.scheme = "rule: " + std::string(by.name());
      planned.note = "set by the rule " + rule.match;
      matched = true;
    }
    require(matched, Fault::config,
            "init.rules: match = " + rule.match +
                " names no parameter of this model; names look like h.0.attn.c_attn.weight");
  }
  return plan;
}

void initialize(const ParamStore& store, const std::vector<PlannedInit>& plan, std::uint64_t seed) {
  for (const auto& planned : plan) {
    const auto& p = store.parameters()[static_cast<std::size_t>(planned.parameter)];
    auto target = ParamStore::view(store.master(), p);
    auto values = at::empty(p.shape, at::kFloat);
    fill({values.data_ptr<float>(), static_cast<std::size_t>(p.numel())}, p.rows(), p.columns(),
         planned.distribution, Philox(seed, p.name));
    target.copy_(values);
  }
  store.refresh_work();
}

}  // namespace weightscope

#include "alarms/rules.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "alarms/judges.hpp"

namespace weightscope {
namespace {

using enum AlarmOccasion;
using Kind = AlarmKey::Kind;

constexpr std::array kRules{
    AlarmRule{"nonfinite",
              "loss or gradient norm is NaN or infinite; always watched, `train.nonfinite` decides",
              "nat; none", "-", "none"},
    AlarmRule{"replicas",
              "replicas of weights or moments differ; always compared, `monitor.replicas` decides", "ranks",
              "-", "`monitor.replicas_every`"},
    AlarmRule{"loss_spike",
              "(loss − level) / scatter > threshold; level: median of the 8 finite losses before; scatter: "
              "1.4826/√2 times the median absolute deviation of successive differences of the last `window`",
              "1",
              "Hampel 1974, doi:10.1080/01621459.1974.10482962; differences: von Neumann et al. 1941, "
              "doi:10.1214/aoms/1177731746",
              "about 3 µs a step",
              update,
              {AlarmKey{"threshold", 7, 1, 1e6, Kind::number, "robust standard deviations"},
               AlarmKey{"window", 64, 16, 65536, Kind::integer, "losses [steps]; it may fire after 16"}},
              judges::loss_spike},
    AlarmRule{"std_jump",
              "std of a component of a layer grew or shrank by more than max(threshold, (t/t′)²) from "
              "snapshot t′ > 0 to t",
              "1",
              "-",
              "none",
              snapshot,
              {AlarmKey{"threshold", 1.5, 1, 1e6, Kind::number, "factor"}},
              judges::std_jump},
    AlarmRule{"outlier_head",
              "std of a head of q, k or v > threshold · median of the heads of its layer",
              "1",
              "-",
              "about 15 µs a snapshot of 144 heads; needs `monitor.heads`",
              snapshot,
              {AlarmKey{"threshold", 3, 1, 1e6, Kind::number, "factor"}},
              judges::outlier_head},
    AlarmRule{"dead_head",
              "std of a head of q, k or v < threshold · median of the heads of its layer",
              "1",
              "-",
              "about 15 µs a snapshot of 144 heads; needs `monitor.heads`",
              snapshot,
              {AlarmKey{"threshold", 0.1, 0, 1, Kind::number, "factor"}},
              judges::dead_head},
    AlarmRule{
        "update_ratio",
        "\\|ΔW\\|/\\|W\\| of the last update of a matrix is outside [low, max(high, 2/√t)], t updates done",
        "1",
        "-",
        "none",
        snapshot,
        {AlarmKey{"low", 6e-8, 0, 1, Kind::number, "half a last place of fp32: the weights stand still"},
         AlarmKey{"high", 0.1, 0, 1e6, Kind::number, "moves of this share of their norm"}},
        judges::update_ratio,
        true},
    AlarmRule{"entropy_collapse",
              "mean attention entropy of the heads of a layer < threshold · that of equal attention",
              "1",
              "Zhai et al. 2023, arXiv:2303.06296",
              "needs `monitor.probe_every`, whose cost it is",
              probe,
              {AlarmKey{"threshold", 0.1, 0, 1, Kind::number, "share"}},
              judges::entropy_collapse},
    AlarmRule{"attention_logit",
              "largest attention logit of a head > threshold",
              "1",
              "Dehghani et al. 2023, arXiv:2302.05442; Wortsman et al. 2023, arXiv:2309.14322",
              "needs `monitor.probe_every`, whose cost it is",
              probe,
              {AlarmKey{"threshold", 100, 0, 1e9, Kind::number, "logit"}},
              judges::attention_logit},
};

std::string short_text(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace

std::span<const AlarmRule> alarm_rules() { return kRules; }

int alarm_rule_index(std::string_view name) {
  const auto at =
      std::find_if(kRules.begin(), kRules.end(), [&](const auto& rule) { return rule.name == name; });
  return at == kRules.end() ? -1 : static_cast<int>(at - kRules.begin());
}

AlarmSetting alarm_setting(int rule) {
  AlarmSetting setting{rule, {}, AlarmAction::record};
  for (std::size_t i = 0; i < kMostAlarmKeys; ++i) setting.values[i] = setting.row().keys[i].value;
  return setting;
}

std::vector<AlarmSetting> default_alarms() {
  std::vector<AlarmSetting> all;
  for (std::size_t i = 0; i < kRules.size(); ++i) all.push_back(alarm_setting(static_cast<int>(i)));
  return all;
}

bool any_acts(const std::vector<AlarmSetting>& settings) {
  return std::any_of(settings.begin(), settings.end(),
                     [](const auto& setting) { return setting.action != AlarmAction::record; });
}

bool any_acts_on_updates(const std::vector<AlarmSetting>& settings) {
  return std::any_of(settings.begin(), settings.end(), [](const auto& setting) {
    return setting.action != AlarmAction::record && setting.row().occasion == update;
  });
}

std::string alarms_reference() {
  std::string text =
      "| rule | fires when | keys and defaults | unit of the value | source | cost "
      "|\n|---|---|---|---|---|---|\n";
  for (const auto& rule : kRules) {
    std::string keys;
    for (const auto& key : rule.used_keys())
      keys += (keys.empty() ? "`" : ", `") + std::string(key.name) + ": " + short_text(key.value) + "` " +
              std::string(key.meaning);
    text += "| `" + std::string(rule.name) + "` | " + std::string(rule.fires) + " | " + keys + " | " +
            std::string(rule.unit) + " | " + std::string(rule.source) + " | " + std::string(rule.cost) +
            " |\n";
  }
  return text;
}

}  // namespace weightscope

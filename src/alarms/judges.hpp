#pragma once
// Private to alarms: the judgements of the rules, in the order of their table.
#include "alarms/rules.hpp"

namespace weightscope::judges {

#define WEIGHTSCOPE_JUDGE(name) \
  std::vector<Finding> name(const RecentNumbers&, const WatchedModel&, const AlarmValues&)
WEIGHTSCOPE_JUDGE(loss_spike);
WEIGHTSCOPE_JUDGE(std_jump);
WEIGHTSCOPE_JUDGE(outlier_head);
WEIGHTSCOPE_JUDGE(dead_head);
WEIGHTSCOPE_JUDGE(update_ratio);
WEIGHTSCOPE_JUDGE(entropy_collapse);
WEIGHTSCOPE_JUDGE(attention_logit);
#undef WEIGHTSCOPE_JUDGE

}  // namespace weightscope::judges

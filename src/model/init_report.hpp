#pragma once
#include <string>
#include <vector>

#include "comm/host_comm.hpp"
#include "model/initialize.hpp"
#include "store/experiment_file.hpp"

namespace weightscope {

/// Measured against planned, one row per parameter.
struct InitReport {
  std::vector<InitRow> rows;
  std::vector<std::string> notes;  ///< tying and rules in words
  bool pass = true;
};

/// 95 % interval of each measured standard deviation, s ± 1.96·s·sqrt((k + 2) / 4n) with the sample's excess
/// kurtosis k. The verdict asks more before it says `fail`: the expected value outside at a family-wise level
/// of 0.1 % over all tensors, a mean further from 0 than that, or a constant that is not exact. Measures on
/// rank 0's weights; call on rank 0.
InitReport report_initialization(const ParamStore& store, const std::vector<PlannedInit>& plan);

std::string to_text(const InitReport& report);  ///< aligned table, notes, verdict
std::string to_json(const InitReport& report);  ///< the object of `weightscope init --format json`

}  // namespace weightscope

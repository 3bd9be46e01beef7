#pragma once
#include <span>
#include <string>
#include <vector>

#include "comm/host_comm.hpp"
#include "model/initialize.hpp"
#include "monitor/summary.hpp"
#include "store/experiment_file.hpp"

namespace weightscope {

/// Measured against planned, one row per parameter.
struct InitReport {
  std::vector<InitRow> rows;
  std::vector<std::string> notes;  ///< tying and rules in words
  bool pass = true;
};

/// A tensor as it was found. parameter: what it is in a GPT, borrowed; stored: type of the numbers in the
/// file.
struct AuditedTensor {
  std::string name;
  const Parameter* parameter;
  Measurement measured;
  DType stored;
};

/// `tensors` in the order of the table that was planned for. Standard deviation, mean and shape of each
/// random tensor are tested (model/init_tests.hpp); the verdict is `fail` and the first of them that is not
/// chance at a level of 10⁻⁶ for all tensors together, or `fail` for a constant that is not exact.
InitReport report_initialization(std::span<const AuditedTensor> tensors,
                                 const std::vector<PlannedInit>& plan);

/// Of the master weights; call on rank 0.
InitReport report_initialization(const ParamStore& store, const std::vector<PlannedInit>& plan);

/// The report of weights that came from elsewhere: nothing is expected of them but that they are numbers.
InitReport imported(InitReport report, const std::string& from);

std::string to_text(const InitReport& report);  ///< aligned table, notes, verdict
std::string to_json(const InitReport& report);  ///< the object of `weightscope init --format json`

}  // namespace weightscope

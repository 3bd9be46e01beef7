#pragma once
#include <functional>
#include <string>
#include <vector>

#include "train/coord_check.hpp"
#include "train/coord_fit.hpp"

namespace weightscope {

/// What to compare.
struct CoordPlan {
  std::vector<int> widths;  ///< ascending, at least two
  std::int64_t steps = 4;
  int seeds = 5;  ///< config.seed and those after it
  Grow grow = Grow::heads;
  std::vector<Parametrization> which;
};

/// One quantity in one measure, "mlp" (geometric mean over layers) or "h.2.mlp". sizes: [step][width][seed];
/// slopes: [step].
struct CoordRow {
  std::string quantity;
  CoordMeasure measure = CoordMeasure::size;
  std::vector<std::vector<std::vector<double>>> sizes;
  std::vector<CoordSlope> slopes;
  std::string verdict;  ///< of the last step
};

struct CoordTable {
  Parametrization which = Parametrization::standard;
  std::vector<CoordRow> rows;  ///< size and change of each quantity, those of layers last
  std::vector<std::vector<std::vector<double>>> losses;  ///< [update][width][seed], nats/token
  std::string
      verdict;  ///< fail where a row fails; else unclear where one is that is not of a layer; else pass
};

struct CoordReport {
  std::string config;
  CoordPlan plan;
  int base_width = 0;
  std::uint64_t first_seed = 0;
  std::vector<CoordTable> tables;
  /// Of muP where it was checked, else of standard.
  const std::string& verdict() const;
};

/// Base width × 1, 2, 4, 8; without model.mup_base_width the base is the smallest width from 64 on that the
/// part that does not grow divides.
std::vector<int> default_widths(const ModelConfig& model, Grow grow);

/// Trains everything. `note` is told of each training when it ends. Error{config} for a plan that cannot be,
/// before anything is trained. host: one rank.
CoordReport coord_report(const RunConfig& config, const CoordPlan& plan, const HostComm& host,
                         const TokenFile& file, const std::function<void(const std::string&)>& note);

std::string to_text(
    const CoordReport& report);  ///< the last step; of the layers only what fails where their mean does not
std::string to_json(const CoordReport& report);  ///< everything

}  // namespace weightscope

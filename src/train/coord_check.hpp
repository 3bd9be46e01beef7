#pragma once
#include <string>
#include <vector>

#include "comm/host_comm.hpp"
#include "config/run_config.hpp"
#include "data/token_file.hpp"

namespace weightscope {

/// What becomes larger with the width: the number of heads, or the features of each.
enum class Grow { heads, head_width };
enum class Parametrization { standard, mup };

/// The configuration of a coordinate check at one width and seed: steps at optimizer.lr from the first one
/// on, the model's width and heads, and init.scheme. muP is relative to model.mup_base_width, or to `base`
/// where the configuration has none; standard is init.scheme, or gpt2 where that is mup. Error{config} when
/// it cannot be.
RunConfig coord_config(const RunConfig& config, Parametrization which, int width, int base, Grow grow,
                       std::uint64_t seed);

/// Names of what is measured, in the order of the numbers: embedding; of each layer attention_logits,
/// attention, mlp (what these two add to the residual stream) and residual (the stream that leaves it);
/// logits.
std::vector<std::string> coord_quantities(int layers);

/// Coordinate sizes after each update: [step 0 … steps][quantity].
struct CoordSizes {
  std::vector<std::vector<double>> size;    ///< mean |x|
  std::vector<std::vector<double>> change;  ///< mean |x − x at step 0|
  std::vector<double> loss;                 ///< of each update's batch, before it [nats/token]
};

/// Trains `steps` updates, each on the first global batch of the file, and measures before the first and
/// after each one on the first rows of it, at most 4096 tokens, without dropout (Yang et al. 2022, appendix
/// D.1). host: one rank.
CoordSizes coordinate_sizes(const RunConfig& config, const HostComm& host, const TokenFile& file,
                            std::int64_t steps);

}  // namespace weightscope

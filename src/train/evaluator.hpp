#pragma once
#include <cstdint>

#include "comm/host_comm.hpp"
#include "data/loader.hpp"
#include "model/gpt.hpp"

namespace weightscope {

struct Evaluation {
  double loss = 0;          ///< mean over predicted tokens [nats/token]
  std::int64_t tokens = 0;  ///< predicted
};

/// Loss over blocks [0, blocks) of a token file in file order, shared out over ranks block by block. blocks
/// <= 0: all complete ones. Collective.
Evaluation evaluate(const HostComm& host, Gpt& gpt, const ParamStore& store, const TokenFile& file,
                    std::int64_t blocks, std::int64_t micro_batch);

}  // namespace weightscope

#pragma once
#include <cstdint>

#include "comm/host_comm.hpp"
#include "data/token_file.hpp"
#include "model/gpt.hpp"
#include "store/experiment_file.hpp"

namespace weightscope {

/// What attention and the residual stream do on blocks [0, blocks) of a token file, in file order and without
/// dropout: one row of /probe, its step left 0. Blocks are dealt out over ranks and each is a forward pass of
/// its own, so the numbers are the same bits for any number of ranks and any micro-batch. All ranks have the
/// result. Collective. Memory is taken for the duration of the call.
ProbeRow probe(const HostComm& host, Gpt& gpt, const ParamStore& store, const TokenFile& file,
               std::int64_t blocks);

}  // namespace weightscope

#pragma once
#include "comm/host_comm.hpp"
#include "model/param_store.hpp"
#include "store/experiment_file.hpp"

namespace weightscope {

/// Singular values of every matrix of every block, summed up: one row of /spectra, its step left 0. In
/// double, from the eigenvalues of the smaller of WᵀW and WWᵀ: those below the rounding of the largest count
/// as zero. Matrices are dealt out over ranks, so the numbers are the same bits for any number of ranks; all
/// ranks have the result. Collective. A matrix that is not finite has NaN everywhere.
SpectraRow spectra(const HostComm& host, const ParamStore& store, const ModelConfig& model);

}  // namespace weightscope

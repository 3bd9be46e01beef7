#pragma once
#include <filesystem>

#include "comm/host_comm.hpp"
#include "config/run_config.hpp"
#include "model/param_store.hpp"
#include "ops/gemm.hpp"

namespace weightscope {

/// Who multiplies each shape of this model's training step (train.gemm). auto: what `run`/gemm.txt says, so
/// that a resumed run computes the same bits; else what this machine measured before (a file in the user's
/// cache directory); else measured now by all ranks at once, rank 0's clock deciding. Left in both files
/// (an empty `run` has none); what the run's file says stays there, also when a job's processors lack it.
/// bf16 on processors without AVX-512: widened, nothing measured. Collective; GPUs and reproducible mode:
/// aten. All ranks throw the same: Error{config} when the one that is asked for is not there, Error{input} or
/// {output} for a file in `run` that cannot be read or written.
ops::GemmChoice choose_gemms(const RunConfig& config, DevicePlace place, const HostComm& host,
                             const std::filesystem::path& run);

/// The products of one step, without those too small to matter.
std::vector<ops::GemmShape> large_products(const RunConfig& config);

/// The fastest backend for a shape: 5 interleaved rounds, medians; another one than aten must agree with its
/// result and be at least 3 % faster.
ops::GemmBackend fastest(const ops::GemmShape& shape, at::ScalarType work);

}  // namespace weightscope

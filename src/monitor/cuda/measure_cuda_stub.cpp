#include "core/error.hpp"
#include "monitor/cuda/measure_cuda.hpp"

namespace weightscope {
namespace {

[[noreturn]] void refuse() {
  throw Error(
      Fault::internal,
      "weights lie on a GPU (this weightscope is built without CUDA) build with -DWEIGHTSCOPE_CUDA=ON");
}

}  // namespace

void run_on_cuda(std::span<const WeightSlice>, Pass&) { refuse(); }
std::vector<std::uint64_t> digests_on_cuda(std::span<const WeightSlice>) { refuse(); }

}  // namespace weightscope

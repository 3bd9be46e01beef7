#include "core/error.hpp"
#include "monitor/device_meter.hpp"

namespace weightscope {
namespace {

[[noreturn]] void refuse() {
  throw Error(
      Fault::internal,
      "weights lie on a GPU (this weightscope is built without CUDA) build with -DWEIGHTSCOPE_CUDA=ON");
}

}  // namespace

struct DeviceMeter::Impl {};
DeviceMeter::DeviceMeter(std::span<const WeightSlice>, int) { refuse(); }
DeviceMeter::DeviceMeter(DeviceMeter&&) noexcept = default;
DeviceMeter& DeviceMeter::operator=(DeviceMeter&&) noexcept = default;
DeviceMeter::~DeviceMeter() = default;
void DeviceMeter::start() { refuse(); }
void DeviceMeter::wait_before_writing(void*) const { refuse(); }
int DeviceMeter::under_way() const { return 0; }
bool DeviceMeter::ready() const { refuse(); }
std::span<const Measurement> DeviceMeter::finish() { refuse(); }
std::size_t DeviceMeter::device_bytes(std::span<const WeightSlice>, int) { return 0; }

std::vector<Measurement> measure_on_device(std::span<const WeightSlice>) { refuse(); }
std::vector<std::uint64_t> digests_on_device(std::span<const WeightSlice>) { refuse(); }

}  // namespace weightscope

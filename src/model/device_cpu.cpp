#include <torch/version.h>

#include "core/error.hpp"
#include "model/device.hpp"

namespace weightscope {
namespace {
[[noreturn]] void unavailable() {
  throw Error(Fault::internal, "a CUDA device was used in a program built without CUDA");
}
}  // namespace

int cuda_devices() { return 0; }
void* current_stream(int) { unavailable(); }
void select_device(int) { unavailable(); }
void synchronize(int) { unavailable(); }
const char* torch_version() { return TORCH_VERSION; }
const char* device_support() { return "none (built for CPU)"; }

}  // namespace weightscope

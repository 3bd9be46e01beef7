// Without CUDA no tensor lies on a GPU: nothing is served, and nothing else is called.
#include "core/error.hpp"
#include "ops/cuda/ops_cuda.hpp"
#include "ops/device_update.hpp"

namespace weightscope::ops::cuda {
namespace {

[[noreturn]] void refuse() {
  throw Error(
      Fault::internal,
      "a tensor lies on a GPU (this weightscope is built without CUDA) build with -DWEIGHTSCOPE_CUDA=ON");
}

}  // namespace

bool serves(const at::Tensor&) { return false; }
bool serves_rows(const at::Tensor&) { return false; }
bool serves_products(const at::Tensor&, std::int64_t) { return false; }
bool serves_gelu_products(const at::Tensor&, std::int64_t, Gelu) { return false; }
bool serves_heads(const at::Tensor&, std::int64_t) { return false; }

void linear(const at::Tensor&, const at::Tensor&, const at::Tensor&, at::Tensor&) { refuse(); }
void linear_gelu(const at::Tensor&, const at::Tensor&, const at::Tensor&, at::Tensor&, at::Tensor&) {
  refuse();
}
void linear_backward_input(const at::Tensor&, const at::Tensor&, at::Tensor&) { refuse(); }
void linear_backward_input_gelu(const at::Tensor&, const at::Tensor&, const at::Tensor&, at::Tensor&) {
  refuse();
}
void linear_backward_weight(const at::Tensor&, const at::Tensor&, at::Tensor&, Write) { refuse(); }
void bias_backward(const at::Tensor&, at::Tensor&, Write) { refuse(); }
void residual_layer_norm(const at::Tensor&, const at::Tensor&, at::Tensor&, const at::Tensor&,
                         const at::Tensor&, at::Tensor&, at::Tensor&, at::Tensor&) {
  refuse();
}
void layer_norm_backward(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                         const at::Tensor&, at::Tensor&, Write, at::Tensor&, at::Tensor&, at::Tensor&,
                         at::Tensor&, Write) {
  refuse();
}
void gelu(const at::Tensor&, at::Tensor&, Gelu) { refuse(); }
void gelu_backward(const at::Tensor&, at::Tensor&, at::Tensor&, Gelu, Write) { refuse(); }
void qk_norm(at::Tensor&, at::Tensor&, const QkNorm&, std::int64_t) { refuse(); }
void qk_norm_backward(at::Tensor&, const at::Tensor&, const QkNorm&, const QkNorm&, std::int64_t, Write) {
  refuse();
}
void attention(const at::Tensor&, at::Tensor&, at::Tensor&, const Attention&) { refuse(); }
void attention_backward(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                        at::Tensor&, const Attention&) {
  refuse();
}
void cross_entropy(at::Tensor&, const at::Tensor&, std::int64_t, double, at::Tensor&) { refuse(); }
void embedding(const at::Tensor&, const at::Tensor&, const at::Tensor&, std::int64_t, at::Tensor&) {
  refuse();
}
void embedding_backward(const at::Tensor&, const at::Tensor&, std::int64_t, at::Tensor&, at::Tensor&, Write) {
  refuse();
}
void dropout(at::Tensor&, double, const Masks&, std::int64_t) { refuse(); }
at::Tensor sum_of_squares(const at::Tensor&) { refuse(); }

}  // namespace weightscope::ops::cuda

namespace weightscope::ops {

void repeat_exactly() {}

struct DeviceUpdate::Impl {};
DeviceUpdate::DeviceUpdate(const std::vector<FlatPart>&, std::int64_t, std::int64_t, const Settings&,
                           const at::Tensor&) {
  cuda::refuse();
}
DeviceUpdate::~DeviceUpdate() = default;
void DeviceUpdate::set(std::int64_t, double) {}
void DeviceUpdate::run(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                       const at::Tensor&, const at::Tensor&, const at::Tensor&, bool) {}
void DeviceUpdate::send_back(std::int64_t, bool) {}
DeviceUpdate::Outcome DeviceUpdate::outcome(std::int64_t) const { return {}; }

}  // namespace weightscope::ops

#include "ops/cuda/cudnn_attention.hpp"

#define CUDNN_FRONTEND_SKIP_JSON_LIB  // graphs are neither saved nor read
#include <cudnn_frontend.h>

#include <array>
#include <cmath>
#include <list>
#include <unordered_map>

#include "ops/cuda/check.hpp"
#include "ops/cuda/fastest.hpp"

namespace weightscope::ops::cuda {
namespace {

namespace fe = cudnn_frontend;
using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;
using Shape = CudnnAttention::Shape;

void check_graph(fe::error_t error, const char* call) {
  if (!error.is_good())
    throw Error(Fault::internal, std::string("cuDNN ") + call + ": " + error.get_message());
}

std::vector<std::int64_t> dims(const Shape& s) { return {s.B, s.H, s.T, s.D}; }
/// Of one of `parts` matrices that lie beside each other in rows: 3 for q, k, v in the fused projection.
std::vector<std::int64_t> strides(const Shape& s, std::int64_t parts) {
  const std::int64_t row = parts * s.H * s.D;
  return {s.T * row, s.D, row, 1};
}

struct Plan {
  Choice choice;
  fe::graph::Graph graph;
  std::vector<Tensor> tensors;
  std::int64_t workspace = 0;
  std::int64_t chosen = -1;  ///< of the execution plans

  Tensor input(const Shape& s, std::int64_t parts, const char* name) {
    tensors.push_back(graph.tensor(
        fe::graph::Tensor_attributes().set_name(name).set_dim(dims(s)).set_stride(strides(s, parts))));
    return tensors.back();
  }
  Tensor statistics(const Shape& s) {
    tensors.push_back(graph.tensor(fe::graph::Tensor_attributes()
                                       .set_name("lse")
                                       .set_dim({s.B, s.H, s.T, 1})
                                       .set_stride({s.H * s.T, s.T, 1, 1})
                                       .set_data_type(fe::DataType_t::FLOAT)));
    return tensors.back();
  }
  void output(const Tensor& t, const Shape& s, std::int64_t parts) {
    t->set_output(true).set_dim(dims(s)).set_stride(strides(s, parts));
    tensors.push_back(t);
  }
  void start() {
    graph.set_io_data_type(fe::DataType_t::BFLOAT16)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
  }
  void build(cudnnHandle_t handle) {
    check_graph(graph.validate(), "validate");
    check_graph(graph.build_operation_graph(handle), "build_operation_graph");
    check_graph(graph.create_execution_plans({fe::HeurMode_t::A}), "create_execution_plans");
    check_graph(graph.check_support(handle), "check_support");
    const bool all = choice == Choice::fastest;
    check_graph(graph.build_plans(
                    handle, all ? fe::BuildPlanPolicy_t::ALL : fe::BuildPlanPolicy_t::HEURISTICS_CHOICE),
                "build_plans");
    workspace = all ? graph.get_autotune_workspace_size() : graph.get_workspace_size();
  }
  /// pointers: in the order in which the tensors were named.
  void run(cudnnHandle_t handle, const std::vector<void*>& pointers, void* space, cudaStream_t stream) {
    std::unordered_map<Tensor, void*> pack;
    for (std::size_t i = 0; i < tensors.size(); ++i) pack[tensors[i]] = pointers[i];
    if (choice == Choice::repeatable) return check_graph(graph.execute(handle, pack, space), "execute");
    const auto execute = [&](std::int64_t plan) {
      return graph.execute_plan_at_index(handle, pack, space, plan);
    };
    if (chosen < 0) {
      const auto count = static_cast<std::size_t>(graph.get_execution_plan_count());
      if (!is_captured(stream))
        chosen = static_cast<std::int64_t>(fastest(
            count, stream, [&](std::size_t i) { return execute(static_cast<std::int64_t>(i)).is_good(); }));
      else
        return check_graph(execute(0), "execute");
    }
    check_graph(execute(chosen), "execute");
  }
};

float scale_of(const Shape& s) { return static_cast<float>(s.scale / std::sqrt(static_cast<double>(s.D))); }

void build_forward(Plan& plan, const Shape& s, cudnnHandle_t handle) {
  plan.start();
  const auto q = plan.input(s, 3, "q"), k = plan.input(s, 3, "k"), v = plan.input(s, 3, "v");
  auto [out, lse] = plan.graph.sdpa(q, k, v,
                                    fe::graph::SDPA_attributes()
                                        .set_name("attention")
                                        .set_generate_stats(true)
                                        .set_causal_mask(true)
                                        .set_attn_scale(scale_of(s)));
  plan.output(out, s, 1);
  lse->set_output(true).set_data_type(fe::DataType_t::FLOAT);
  plan.tensors.push_back(lse);
  plan.build(handle);
}

void build_backward(Plan& plan, const Shape& s, cudnnHandle_t handle) {
  plan.start();
  const auto q = plan.input(s, 3, "q"), k = plan.input(s, 3, "k"), v = plan.input(s, 3, "v"),
             out = plan.input(s, 1, "out"), dout = plan.input(s, 1, "dout"), lse = plan.statistics(s);
  auto [dq, dk, dv] =
      plan.graph.sdpa_backward(q, k, v, out, dout, lse,
                               fe::graph::SDPA_backward_attributes()
                                   .set_name("attention_backward")
                                   .set_causal_mask(true)
                                   .set_deterministic_algorithm(plan.choice == Choice::repeatable)
                                   .set_attn_scale(scale_of(s)));
  for (const auto& t : {dq, dk, dv}) plan.output(t, s, 3);
  plan.build(handle);
}

/// Part 0, 1 or 2 of a fused projection.
void* part(const void* qkv, const Shape& s, std::int64_t index) {
  constexpr std::int64_t kElement = 2;
  return static_cast<std::byte*>(const_cast<void*>(qkv)) + index * s.H * s.D * kElement;
}

}  // namespace

struct CudnnAttention::Impl {
  struct Pair {
    Shape shape;
    Plan forward, backward;
  };
  Choice choice;
  cudnnHandle_t handle = nullptr;
  std::list<Pair> plans;

  Pair& of(const Shape& shape) {
    for (auto& pair : plans)
      if (pair.shape == shape) return pair;
    auto& pair = plans.emplace_back();
    pair.shape = shape;
    pair.forward.choice = pair.backward.choice = choice;
    build_forward(pair.forward, shape, handle);
    build_backward(pair.backward, shape, handle);
    return pair;
  }
};

CudnnAttention::CudnnAttention(Choice choice) : impl_(std::make_unique<Impl>(choice)) {
  check(cudnnCreate(&impl_->handle), "cudnnCreate");
}
CudnnAttention::~CudnnAttention() {
  impl_->plans.clear();
  cudnnDestroy(impl_->handle);
}

bool CudnnAttention::serves(std::int64_t D, int capability) {
  return capability >= 80 && D % 8 == 0 && D <= 128;
}

std::size_t CudnnAttention::workspace_bytes(const Shape& shape) {
  const auto& pair = impl_->of(shape);
  return static_cast<std::size_t>(std::max(pair.forward.workspace, pair.backward.workspace));
}

void CudnnAttention::forward(const Shape& s, const void* qkv, void* out, float* lse, void* workspace,
                             void* stream) {
  check(cudnnSetStream(impl_->handle, static_cast<cudaStream_t>(stream)), "cudnnSetStream");
  impl_->of(s).forward.run(impl_->handle, {part(qkv, s, 0), part(qkv, s, 1), part(qkv, s, 2), out, lse},
                           workspace, static_cast<cudaStream_t>(stream));
}

void CudnnAttention::backward(const Shape& s, const void* dout, const void* qkv, const void* out,
                              const float* lse, void* dqkv, void* workspace, void* stream) {
  check(cudnnSetStream(impl_->handle, static_cast<cudaStream_t>(stream)), "cudnnSetStream");
  impl_->of(s).backward.run(
      impl_->handle,
      {part(qkv, s, 0), part(qkv, s, 1), part(qkv, s, 2), const_cast<void*>(out), const_cast<void*>(dout),
       const_cast<float*>(lse), part(dqkv, s, 0), part(dqkv, s, 1), part(dqkv, s, 2)},
      workspace, static_cast<cudaStream_t>(stream));
}

}  // namespace weightscope::ops::cuda

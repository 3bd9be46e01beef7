set(device_source device_cpu.cpp)
set(torch_library Torch::cpu)
if(WEIGHTSCOPE_CUDA)
  set(device_source device_cuda.cpp)
  set(torch_library Torch::cuda CUDA::cudart)
endif()
weightscope_module(model DEPS core init config comm monitor store ops PRIVATE ${torch_library} nlohmann_json::nlohmann_json
  SOURCES parameters.cpp mup.cpp param_store.cpp ${device_source} activations.cpp gpt.cpp block.cpp initialize.cpp init_report.cpp init_tests.cpp gpt_neox.cpp slices.cpp
    weights_io.cpp hf_config.cpp memory_plan.cpp)
target_precompile_headers(weightscope_model REUSE_FROM weightscope_ops)

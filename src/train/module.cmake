weightscope_module(train DEPS core init alarms config comm data monitor store ops model PRIVATE Torch::cpu nlohmann_json::nlohmann_json
  SOURCES schedule.cpp cadence.cpp optimizer.cpp gemm_tuner.cpp message_exchange.cpp registered_buffers.cpp node_buffers.cpp node_exchange.cpp exchange.cpp micro_step.cpp update_meter.cpp device_step.cpp train_step.cpp evaluator.cpp probe.cpp coord_sizes.cpp coord_fit.cpp coord_check.cpp coord_report.cpp coord_text.cpp spectra.cpp generate.cpp progress.cpp run_log.cpp recorder.cpp alarms.cpp
    memory_use.cpp state.cpp saver.cpp time_limit.cpp replicas.cpp setup.cpp trainer.cpp)
target_precompile_headers(weightscope_train REUSE_FROM weightscope_ops)

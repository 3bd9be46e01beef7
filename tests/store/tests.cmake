foreach(test run_lock safetensors checkpoint experiment_file resume experiment_writer)
  weightscope_test(store/${test}.test.cpp LINK store LABELS fast)
endforeach()

foreach(test run_lock safetensors checkpoint)
  weightscope_test(store/${test}.test.cpp LINK store LABELS fast)
endforeach()
foreach(test experiment_writer checkpoint_writer)
  weightscope_test(store/${test}.test.cpp LINK store LABELS fast threads)
endforeach()
weightscope_test(store/hostile_checkpoint.test.cpp LINK store PRIVATE nlohmann_json::nlohmann_json LABELS fast)
weightscope_test(store/hostile_experiment.test.cpp LINK store PRIVATE HDF5::HDF5 LABELS fast)
weightscope_test(store/experiment_file.test.cpp LINK store)
weightscope_test(store/resume.test.cpp LINK store)

# What the program writes, read by h5py, xarray, netCDF4 and h5dump.
add_executable(store_write_sample store/write_sample.cpp)
target_include_directories(store_write_sample PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(store_write_sample PRIVATE weightscope_store nlohmann_json::nlohmann_json)
find_program(WEIGHTSCOPE_TEST_PYTHON python NO_DEFAULT_PATH REQUIRED
  HINTS "$ENV{WEIGHTSCOPE_VENV}/bin" "${PROJECT_SOURCE_DIR}/.venv/bin")
find_program(H5DUMP h5dump REQUIRED)
add_test(NAME store/read_back COMMAND ${WEIGHTSCOPE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/store/read_back.py
  $<TARGET_FILE:store_write_sample> ${H5DUMP} ${CMAKE_CURRENT_BINARY_DIR}/store_sample)
add_test(NAME store/nexus COMMAND ${WEIGHTSCOPE_TEST_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/store/nexus.py
  $<TARGET_FILE:store_write_sample> ${CMAKE_CURRENT_BINARY_DIR}/store_sample_nexus)
set_tests_properties(store/read_back store/nexus PROPERTIES LABELS "store;python" TIMEOUT 120)

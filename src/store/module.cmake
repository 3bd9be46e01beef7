weightscope_module(store DEPS core comm monitor PRIVATE HDF5::HDF5 hdf5::hdf5_hl nlohmann_json::nlohmann_json
  SOURCES run_lock.cpp mapped_file.cpp crc_combine.cpp safetensors.cpp safetensors_write.cpp manifest.cpp checkpoint.cpp
    checkpoint_list.cpp)

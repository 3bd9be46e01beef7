weightscope_module(store DEPS core monitor PRIVATE HDF5::HDF5 hdf5::hdf5_hl nlohmann_json::nlohmann_json Threads::Threads
  SOURCES run_lock.cpp crc_combine.cpp safetensors.cpp safetensors_write.cpp manifest.cpp checkpoint.cpp
    checkpoint_list.cpp hdf5/handle.cpp hdf5/values.cpp hdf5/disk.cpp hdf5/file.cpp hdf5/dataset.cpp hdf5_version.cpp schema.cpp views.cpp layout.cpp
    run_files.cpp fold.cpp superseded.cpp rewind.cpp experiment_file.cpp experiment_resume.cpp inspect.cpp
    experiment_writer.cpp checkpoint_writer.cpp preflight.cpp recent.cpp)

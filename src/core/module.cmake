weightscope_module(core PRIVATE spdlog::spdlog_header_only
  SOURCES error.cpp file_io.cpp mapped_file.cpp log.cpp hash.cpp fault_point.cpp crash.cpp build_info.cpp suggest.cpp)
set_source_files_properties(core/build_info.cpp PROPERTIES COMPILE_DEFINITIONS
  "WEIGHTSCOPE_VERSION=\"${PROJECT_VERSION}\"")

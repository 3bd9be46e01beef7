weightscope_module(config DEPS core init alarms PRIVATE yaml-cpp
  SOURCES yaml_tree.cpp reader.cpp checks.cpp limits.cpp writer.cpp reference.cpp resume.cpp)

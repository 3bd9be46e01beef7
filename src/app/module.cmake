weightscope_module(app DEPS core init config comm data monitor store ops model train PRIVATE Torch::cpu CLI11::CLI11 nlohmann_json::nlohmann_json
  SOURCES cli.cpp context.cpp cores.cpp train_command.cpp init_commands.cpp coord_command.cpp weights_commands.cpp text_commands.cpp inspect_commands.cpp)
add_executable(weightscope app/main.cpp)
target_link_libraries(weightscope PRIVATE weightscope_app)
set_target_properties(weightscope PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})

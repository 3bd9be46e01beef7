weightscope_module(app DEPS core init config comm data monitor store ops model train PRIVATE Torch::cpu CLI11::CLI11 nlohmann_json::nlohmann_json
  SOURCES cli.cpp cli_help.cpp context.cpp cores.cpp train_command.cpp init_commands.cpp coord_command.cpp weights_commands.cpp text_commands.cpp inspect_commands.cpp)
# At every build, so that it is never that of the configuration.
add_custom_target(weightscope_revision BYPRODUCTS ${PROJECT_BINARY_DIR}/revision.cpp
  COMMAND ${CMAKE_COMMAND} -D SOURCE=${PROJECT_SOURCE_DIR} -D TO=${PROJECT_BINARY_DIR}/revision.cpp
    -P ${PROJECT_SOURCE_DIR}/cmake/revision.cmake)
add_executable(weightscope app/main.cpp ${PROJECT_BINARY_DIR}/revision.cpp)
add_dependencies(weightscope weightscope_revision)
target_link_libraries(weightscope PRIVATE weightscope_app)
set_target_properties(weightscope PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})

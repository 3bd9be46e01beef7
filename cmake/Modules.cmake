# weightscope_module(NAME [DEPS a b] [PRIVATE libs] SOURCES ...): one folder of src/ = one static library = one layer.
# A module may name only modules declared before it, so an upward dependency stops the configure step.
# Third-party libraries are PRIVATE: another module that includes their headers does not compile.
function(weightscope_module name)
  cmake_parse_arguments(ARG "" "" "DEPS;PRIVATE;SOURCES" ${ARGN})
  foreach(dep IN LISTS ARG_DEPS)
    if(NOT TARGET weightscope_${dep})
      message(FATAL_ERROR "module '${name}' may not depend on '${dep}': it is declared later (see docs/architecture.md)")
    endif()
  endforeach()
  list(TRANSFORM ARG_SOURCES PREPEND "${PROJECT_SOURCE_DIR}/src/${name}/")
  add_library(weightscope_${name} STATIC ${ARG_SOURCES})
  file(GLOB headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${name}/*.hpp")
  set_property(GLOBAL APPEND PROPERTY WEIGHTSCOPE_HEADERS ${headers})
  set(modules ${ARG_DEPS})
  list(TRANSFORM modules PREPEND "weightscope_")
  target_link_libraries(weightscope_${name} PUBLIC weightscope_flags ${modules} PRIVATE ${ARG_PRIVATE})
  # tests/lint/check_layers.py: a file of this module includes only its own folder and its declared DEPS.
  string(REPLACE ";" "," allowed "${ARG_DEPS}")
  set_property(GLOBAL APPEND_STRING PROPERTY WEIGHTSCOPE_LAYERS "${name}:${allowed}\n")
endfunction()

# weightscope_test(path/to/thing.test.cpp LINK modules [PRIVATE libs] [RANKS 1 2 3] [LABELS ...] [SECONDS n]):
# one binary, one CTest entry per rank count, named folder/thing.npN.
function(weightscope_test source)
  cmake_parse_arguments(ARG "" "SECONDS" "LINK;PRIVATE;RANKS;LABELS" ${ARGN})
  get_filename_component(dir ${source} DIRECTORY)
  get_filename_component(stem ${source} NAME_WE)
  string(REPLACE "/" "_" target "test_${dir}_${stem}")
  add_executable(${target} ${PROJECT_SOURCE_DIR}/tests/${source})
  list(TRANSFORM ARG_LINK PREPEND "weightscope_")
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${target} PRIVATE ${ARG_LINK} weightscope_test_main ${ARG_PRIVATE})
  target_compile_definitions(${target} PRIVATE WEIGHTSCOPE_TEST_ORACLE="${PROJECT_SOURCE_DIR}/tests/oracle"
    WEIGHTSCOPE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  if(NOT ARG_RANKS)
    set(ARG_RANKS 1)
  endif()
  if(NOT ARG_SECONDS)
    set(ARG_SECONDS 60)
  endif()
  math(EXPR ARG_SECONDS "${ARG_SECONDS} * ${WEIGHTSCOPE_TEST_SLOWNESS}")
  if("threads" IN_LIST ARG_LABELS)
    add_dependencies(weightscope_thread_tests ${target})
  endif()
  foreach(n IN LISTS ARG_RANKS)
    add_test(NAME ${dir}/${stem}.np${n}
      COMMAND ${MPIEXEC_EXECUTABLE} --bind-to none ${MPIEXEC_NUMPROC_FLAG} ${n} $<TARGET_FILE:${target}>)
    set_tests_properties(${dir}/${stem}.np${n} PROPERTIES PROCESSORS 1 TIMEOUT ${ARG_SECONDS} LABELS "${dir};np${n};${ARG_LABELS}"
      ENVIRONMENT "${WEIGHTSCOPE_MPI_ENVIRONMENT}")
  endforeach()
endfunction()

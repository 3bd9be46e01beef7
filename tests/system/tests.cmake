# The program as a whole, and the analysis package, through pytest; each run leaves a JUnit file for launch/test.sh.
set(python $ENV{WEIGHTSCOPE_VENV}/bin/python)
if(NOT EXISTS ${python})
  set(python ${PROJECT_SOURCE_DIR}/.venv/bin/python)
endif()
function(weightscope_pytest name folder)
  add_test(NAME python/${name}
    COMMAND ${python} -m pytest -q -p no:cacheprovider --junitxml ${PROJECT_BINARY_DIR}/results/python-${name}.xml ${ARGN}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}/${folder})
  set_tests_properties(python/${name} PROPERTIES LABELS "python;${name}" TIMEOUT 3000 COST 100  # long: started before the others
    ENVIRONMENT "WEIGHTSCOPE_BINARY=$<TARGET_FILE:weightscope>;${WEIGHTSCOPE_MPI_ENVIRONMENT}")
endfunction()
foreach(part first_use oracle resume resume_more alarms probe spectra weightwatcher gradients faults errors commands switches texts robust_commands audit mup coord_check)
  weightscope_pytest(system_${part} tests/system test_${part}.py)
endforeach()
weightscope_pytest(analysis analysis)
function(weightscope_ruff name)
  add_test(NAME python/${name} COMMAND ${python} -m ruff ${ARGN} --config analysis/pyproject.toml analysis tests launch bench
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(python/${name} PROPERTIES LABELS "python;lint")
endfunction()
weightscope_ruff(ruff check)
weightscope_ruff(ruff_format format --check)

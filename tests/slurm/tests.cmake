# The scripts of slurm/ on a real cluster that the tests start; skipped, by name, where Slurm is not installed.
add_executable(weightscope_places slurm/places.cpp)
target_link_libraries(weightscope_places PRIVATE weightscope_comm weightscope_flags)
# Clusters of their own, so that parts can be run by themselves.
foreach(part jobs attempts failures cluster)
  weightscope_pytest(slurm_${part} tests/slurm test_${part}.py)
  set_property(TEST python/slurm_${part} APPEND PROPERTY LABELS slurm)
endforeach()

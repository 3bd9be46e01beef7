# What tests need when WEIGHTSCOPE_SANITIZE is on: the sanitizers' options, and more time, because everything is slower.
# OpenMPI keeps memory until the process ends and has threads of its own: tests/support/sanitizers/*.txt name its
# libraries. verify_asan_link_order: tests/faults preload a library. OMP_NUM_THREADS: libgomp is not instrumented, so
# ThreadSanitizer would not see its barriers.
set(folder ${PROJECT_SOURCE_DIR}/tests/support/sanitizers)
set(threads 2)
if(WEIGHTSCOPE_SANITIZE STREQUAL thread)
  set(threads 1)
endif()
list(FILTER WEIGHTSCOPE_MPI_ENVIRONMENT EXCLUDE REGEX "^(TEST_HANG_SECONDS|OMP_NUM_THREADS)=")
list(APPEND WEIGHTSCOPE_MPI_ENVIRONMENT
  "TEST_HANG_SECONDS=300"
  "WEIGHTSCOPE_TEST_SLOWNESS=6"
  "OMP_NUM_THREADS=${threads}"
  "ASAN_OPTIONS=fast_unwind_on_malloc=0:malloc_context_size=12:verify_asan_link_order=0:detect_stack_use_after_return=1"
  "LSAN_OPTIONS=suppressions=${folder}/leaks.txt:print_suppressions=0"
  "UBSAN_OPTIONS=print_stacktrace=1"
  "TSAN_OPTIONS=suppressions=${folder}/races.txt:second_deadlock_stack=1")
set(WEIGHTSCOPE_TEST_SLOWNESS 6)

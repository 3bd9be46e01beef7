# cmake -D SOURCE=dir -D TO=file.cpp -P revision.cmake: what git says of the sources now. The file changes only when that does.
set(revision unknown)
execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty
  OUTPUT_VARIABLE said OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed EQUAL 0 AND said)
  set(revision "${said}")
endif()
file(CONFIGURE OUTPUT "${TO}" CONTENT "#include \"app/revision.hpp\"
const char* const weightscope::source_revision = \"${revision}\";
")

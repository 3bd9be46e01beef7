#pragma once
#include <cstdint>
#include <string>

namespace weightscope {

/// Where this process is in its run, for what is said of it when it dies or waits too long. One run per
/// process: a signal handler has no arguments.
void note_rank(int rank);
void note_step(std::int64_t step);
std::string whereabouts();  ///< "rank 1 (node7), step 8"; no step before the first one

/// A signal that means a defect (SEGV, BUS, ILL, FPE, ABRT) first writes whereabouts() on stderr, then goes
/// to whoever handled it before (OpenMPI prints a stack trace). Call after MPI_Init.
void report_crashes();

}  // namespace weightscope

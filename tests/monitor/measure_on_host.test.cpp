// The monitor's kernels and the calls around them, compiled for the host: host_cuda/ stands in for the device
// and its runtime.
#include "monitor/measure_cuda.test.cpp"

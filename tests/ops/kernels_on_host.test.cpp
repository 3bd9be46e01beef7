// The kernels of ops/cuda, compiled for the host: host_cuda/ stands in for the device and its runtime, and
// fused.cpp brings tensors to them, as on a GPU.
#include "ops/device_kernels.test.cpp"

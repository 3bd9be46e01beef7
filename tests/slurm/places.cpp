// Says where each rank is and which devices it may see; run in place of the training by test_jobs.py.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "comm/host_comm.hpp"

int main(int argc, char** argv) {
  const weightscope::MpiScope mpi(&argc, &argv);
  const auto world = weightscope::HostComm::world();
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  const char* devices = std::getenv("CUDA_VISIBLE_DEVICES");
  std::printf("place %s %d %d %d %s\n", host, world.rank(), world.size(), world.local_rank(),
              devices == nullptr ? "-" : devices);
}

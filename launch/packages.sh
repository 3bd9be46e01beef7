# Debian and Ubuntu packages. Sourced by setup.sh; one list, each group with its reason.
packages_build=(g++ cmake ninja-build pkg-config                                     # compiler and build
  openmpi-bin libopenmpi-dev libhdf5-dev hdf5-tools libyaml-cpp-dev                  # what the program links
  libcli11-dev libspdlog-dev nlohmann-json3-dev libsentencepiece-dev
  python3 python3-venv ca-certificates git)                                          # the analysis package's environment
packages_optional=(ccache mold                                                       # faster builds
  bible-kjv bible-kjv-text)                                                          # the quickstart's text; data.sh can fetch it
packages_test=(libgtest-dev libgmock-dev libbenchmark-dev clang-format clang-tidy libomp-dev clang llvm slurmctld slurmd slurm-client munge libpmix-dev iproute2)
# The sanitizers and libFuzzer of clang; older releases have them inside other packages.
apt-cache show libclang-rt-dev >/dev/null 2>&1 && packages_test+=(libclang-rt-dev)
# Ubuntu's chromium is a snap, which a container cannot run: the browser tests skip there, by name.
apt-cache show chromium >/dev/null 2>&1 && packages_test+=(chromium chromium-driver)
true

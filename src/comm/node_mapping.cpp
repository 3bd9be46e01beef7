#include "comm/node_mapping.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <string>

namespace weightscope {
namespace {

/// An address range of `bytes` at a multiple of 2 MiB, reserved only.
std::byte* reserve(std::size_t bytes) {
  void* hole = ::mmap(nullptr, bytes + kHuge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (hole == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(hole);
  const auto address = reinterpret_cast<std::uintptr_t>(hole);
  const std::size_t before = (address + kHuge - 1) / kHuge * kHuge - address;
  if (before > 0) ::munmap(begin, before);
  ::munmap(begin + before + bytes, kHuge - before);
  return begin + before;
}

}  // namespace

MemoryFile::MemoryFile(std::size_t bytes) {
  std::random_device random;
  for (auto& word : name_.token) word = (std::uint64_t{random()} << 32) | random();
  const int file = ::memfd_create("weightscope", MFD_CLOEXEC);
  name_.process = ::getpid();
  name_.descriptor = file;
  good_ = file >= 0 && ::ftruncate(file, static_cast<off_t>(bytes)) == 0 &&
          ::pwrite(file, name_.token.data(), sizeof name_.token, 0) == sizeof name_.token;
}

MemoryFile::~MemoryFile() {
  if (name_.descriptor >= 0) ::close(static_cast<int>(name_.descriptor));
}

std::byte* map_memory_file(const MemoryFile::Name& name, std::size_t bytes) {
  const std::string path = "/proc/" + std::to_string(name.process) + "/fd/" + std::to_string(name.descriptor);
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return nullptr;
  auto token = decltype(name.token){};
  std::byte* at = nullptr;
  if (::pread(file, token.data(), sizeof token, 0) == sizeof token && token == name.token &&
      (at = reserve(bytes)) != nullptr &&
      ::mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) {
    ::munmap(at, bytes);
    at = nullptr;
  }
  ::close(file);
  return at;
}

}  // namespace weightscope

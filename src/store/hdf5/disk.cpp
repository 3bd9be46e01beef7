#include "store/hdf5/disk.hpp"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace weightscope::hdf5 {
namespace {

/// A file as the driver sees it; HDF5's part comes first.
struct DiskFile {
  H5FD_t common;
  DiskState* state;
  int fd;
  haddr_t allocated, end;
  dev_t device;
  ino_t inode;
};

struct Info {
  DiskState* state;
};

DiskFile& of(H5FD_t* file) { return *reinterpret_cast<DiskFile*>(file); }
const DiskFile& of(const H5FD_t* file) { return *reinterpret_cast<const DiskFile*>(file); }

void keep_error(const DiskFile& file) {
  if (file.state->error == 0) file.state->error = errno;
}

H5FD_t* open_file(const char* name, unsigned flags, hid_t access, haddr_t) {
  const auto* info = static_cast<const Info*>(H5Pget_driver_info(access));
  int mode = O_CLOEXEC | ((flags & H5F_ACC_RDWR) != 0 ? O_RDWR : O_RDONLY);
  if ((flags & H5F_ACC_CREAT) != 0) mode |= O_CREAT;
  if ((flags & H5F_ACC_EXCL) != 0) mode |= O_EXCL;
  if ((flags & H5F_ACC_TRUNC) != 0) mode |= O_TRUNC;
  struct stat status {};
  const int fd = ::open(name, mode, 0644);
  if (fd < 0 || ::fstat(fd, &status) != 0) {
    info->state->error = errno;
    if (fd >= 0) ::close(fd);
    return nullptr;
  }
  info->state->error = 0;  // HDF5 looks whether a file exists by opening it before it creates one
  auto file = std::make_unique<DiskFile>();
  file->state = info->state, file->fd = fd;
  file->allocated = 0, file->end = static_cast<haddr_t>(status.st_size);
  file->device = status.st_dev, file->inode = status.st_ino;
  return &file.release()->common;
}

herr_t close_file(H5FD_t* file) {
  const std::unique_ptr<DiskFile> mine(&of(file));
  if (::close(mine->fd) != 0) keep_error(*mine);
  return 0;
}

int compare_files(const H5FD_t* a, const H5FD_t* b) {
  const auto key = [](const DiskFile& f) { return std::pair(f.device, f.inode); };
  const auto first = key(of(a)), second = key(of(b));
  return first < second ? -1 : first == second ? 0 : 1;
}

herr_t features(const H5FD_t*, unsigned long* flags) {
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
           H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

haddr_t allocated(const H5FD_t* file, H5FD_mem_t) { return of(file).allocated; }
herr_t set_allocated(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  of(file).allocated = address;
  return 0;
}
haddr_t end_of(const H5FD_t* file, H5FD_mem_t) { return of(file).end; }

/// What lies behind the end reads as zeros.
herr_t read_file(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t at, std::size_t size, void* buffer) {
  auto* out = static_cast<char*>(buffer);
  while (size > 0) {
    const auto n = ::pread(of(file).fd, out, std::min<std::size_t>(size, 1U << 30), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) keep_error(of(file));
    if (n <= 0) {
      std::memset(out, 0, size);
      return n == 0 ? 0 : -1;
    }
    out += n, size -= static_cast<std::size_t>(n), at += static_cast<haddr_t>(n);
  }
  return 0;
}

herr_t write_file(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t at, std::size_t size, const void* buffer) {
  auto& mine = of(file);
  const auto* from = static_cast<const char*>(buffer);
  while (size > 0 && mine.state->error == 0) {
    const auto n = ::pwrite(mine.fd, from, std::min<std::size_t>(size, 1U << 30), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0) keep_error(mine);
    if (n <= 0) break;
    from += n, size -= static_cast<std::size_t>(n), at += static_cast<haddr_t>(n);
  }
  mine.end = std::max(mine.end, at + size);
  return 0;
}

herr_t truncate_file(H5FD_t* file, hid_t, hbool_t) {
  auto& mine = of(file);
  if (mine.end == mine.allocated) return 0;
  if (mine.state->error == 0 && ::ftruncate(mine.fd, static_cast<off_t>(mine.allocated)) != 0)
    keep_error(mine);
  mine.end = mine.allocated;
  return 0;
}

H5FD_class_t driver_class() {
  H5FD_class_t c{};
#if H5_VERSION_GE(1, 13, 0)
  c.version = H5FD_CLASS_VERSION, c.value = 511;  // the range for drivers that are not registered with HDF5
#endif
  c.name = "weightscope", c.maxaddr = static_cast<haddr_t>(INT64_MAX), c.fc_degree = H5F_CLOSE_STRONG;
  c.fapl_size = sizeof(Info);
  c.open = open_file, c.close = close_file, c.cmp = compare_files, c.query = features;
  c.get_eoa = allocated, c.set_eoa = set_allocated, c.get_eof = end_of;
  c.read = read_file, c.write = write_file, c.truncate = truncate_file;
  const H5FD_mem_t map[] = H5FD_FLMAP_DICHOTOMY;
  std::copy(std::begin(map), std::end(map), c.fl_map);
  return c;
}

}  // namespace

void use_disk_driver(Id access_properties, DiskState& state) {
  static const H5FD_class_t description = driver_class();
  static const hid_t driver = H5FDregister(&description);
  const Info info{&state};
  require(driver >= 0 && H5Pset_driver(access_properties, driver, &info) >= 0, Fault::internal,
          "HDF5 does not take our file driver");
}

}  // namespace weightscope::hdf5

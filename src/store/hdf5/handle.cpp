#include "store/hdf5/handle.hpp"

#include <hdf5.h>

#include <type_traits>

namespace weightscope::hdf5 {
namespace {

static_assert(std::is_same_v<hid_t, Id>, "HDF5 1.10 or newer");

/// Called from the innermost error outwards; keeps the first, which is the cause.
herr_t keep_first(unsigned, const H5E_error2_t* error, void* text) {
  auto& reason = *static_cast<std::string*>(text);
  if (reason.empty() && error->desc != nullptr) reason = error->desc;
  return 0;
}

}  // namespace

void fail(Fault fault, const std::string& what, const std::filesystem::path& file) {
  std::string reason;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &reason);
  for (char& c : reason)
    if (c == '\n') c = ' ';
  throw Error(fault, what + " " + file.string() + (reason.empty() ? "" : ": " + reason));
}

std::unique_lock<std::recursive_mutex> exclusive() {
  static std::recursive_mutex mutex;
  return std::unique_lock(mutex);
}

}  // namespace weightscope::hdf5

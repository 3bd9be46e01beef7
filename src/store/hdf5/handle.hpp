#pragma once
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <utility>

#include "core/error.hpp"

namespace weightscope::hdf5 {

using Id = std::int64_t;  // hid_t since HDF5 1.10; keeps hdf5.h out of every header

/// Owns one HDF5 object. What closing it says matters for files and datasets: close().
class Handle {
 public:
  using Close = int (*)(Id);
  Handle() = default;
  Handle(Id id, Close closer) : id_(id), close_(closer) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_), std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() { close(); }
  Id get() const { return id_; }
  bool valid() const { return id_ >= 0; }
  bool close() { return id_ < 0 || close_(std::exchange(id_, -1)) >= 0; }

 private:
  Id id_ = -1;
  Close close_ = nullptr;
};

/// Throws Error{fault} "WHAT FILE: reason", the reason from HDF5's error stack.
[[noreturn]] void fail(Fault fault, const std::string& what, const std::filesystem::path& file);

/// HDF5 is not thread-safe as Debian builds it: whoever calls it holds this.
std::unique_lock<std::recursive_mutex> exclusive();

}  // namespace weightscope::hdf5

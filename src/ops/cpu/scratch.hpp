#pragma once
// Memory that a thread keeps from call to call: kernels allocate nothing in the steady state.
#include <cstddef>

namespace weightscope::cpu {

/// `own` is the calling thread's; `team` is the caller's of a kernel, for what its threads share.
enum class Scratch { own, team };

/// At least `bytes` of uninitialized memory, aligned to 64. It stays valid until the same thread asks for
/// more of the same kind; it is freed when the thread ends. Throws std::bad_alloc.
std::byte* scratch(Scratch kind, std::size_t bytes);

}  // namespace weightscope::cpu

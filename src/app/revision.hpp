#pragma once

namespace weightscope {

/// `git describe --always --dirty` of the sources when this program was built, or "unknown". Whatever happens
/// to the tree later, an experiment file names what it was made with.
extern const char* const source_revision;

}  // namespace weightscope

#pragma once
#include <string>
#include <vector>

namespace weightscope {

/// "; did you mean NAME?" for the known name that is spelled most alike, or nothing where none is.
std::string nearest(const std::string& wrong, const std::vector<std::string>& known);

}  // namespace weightscope

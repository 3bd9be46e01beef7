#include "store/views.hpp"

#include <algorithm>
#include <array>

namespace weightscope {
namespace {

/// An NXdata group. `slice`: what is shown first of a signal of more than two dimensions.
struct View {
  const char *name, *signal;
  std::vector<std::string> slice;
};

std::vector<View> views() {
  return {{"histogram", "histogram", {".", "0", "0", "."}},
          {"std", "std", {".", ".", "0"}},
          {"head_std", "head_std", {".", "0", "0", "."}},
          {"loss", "train/loss", {}}};
}

std::string name_in_group(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// Viewers refuse texts as axes and draw the pixels of a heat map equally wide: over the centres of the bins
/// most weights would stand beside where they are.
bool drawn_by_number(const std::string& scale) {
  constexpr std::array by_number{"component", "qkv", "bin"};
  return std::find(by_number.begin(), by_number.end(), scale) != by_number.end();
}

void make_view(hdf5::File& file, const View& view, const hdf5::DatasetSpec& signal) {
  const auto group = "views/" + std::string(view.name);
  file.make_group(group);
  file.set_attribute(group, "NX_class", {"NXdata"});
  file.set_attribute(group, "signal", {name_in_group(signal.path)});
  file.link(signal.path, group + "/" + name_in_group(signal.path));
  std::vector<std::string> axes;
  for (const auto& axis : signal.axes) {
    const auto name = name_in_group(axis.scale);
    file.link(axis.scale, group + "/" + name);
    file.set_attribute(group, name + "_indices", static_cast<std::int64_t>(axes.size()));
    axes.push_back(drawn_by_number(name) ? "." : name);
  }
  file.set_attribute(group, "axes", axes);
  if (!view.slice.empty()) file.set_attribute(group, "default_slice", view.slice);
}

}  // namespace

void make_views(hdf5::File& file, const ExperimentHeader& header) {
  file.set_attribute("NX_class", "NXroot");
  file.set_attribute("default", "views");
  file.make_group("views");
  file.set_attribute("views", "NX_class", {"NXentry"});
  file.set_attribute("views", "default", {"histogram"});
  const auto datasets = growing_datasets(header);
  for (const auto& view : views()) {
    const auto signal = std::find_if(datasets.begin(), datasets.end(),
                                     [&](const auto& spec) { return spec.path == view.signal; });
    if (signal != datasets.end()) make_view(file, view, *signal);
  }
}

}  // namespace weightscope

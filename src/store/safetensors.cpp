// Reading. Nothing in the file is believed before it is checked: a file from anywhere may be opened.
#include "store/safetensors.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/mapped_file.hpp"
#include "store/element_types.hpp"

namespace weightscope {
namespace {

using Json = nlohmann::json;

// The format allows 100 MB. Ours need 100 bytes a tensor; a parsed header takes up to thirty times its text.
constexpr std::uint64_t kLongestHeader = std::uint64_t{16} << 20;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& why) {
  throw Error(Fault::input, path.string() + " is not a usable safetensors file: " + why);
}

std::uint64_t header_length(std::span<const std::byte> file, const std::filesystem::path& path) {
  if (file.size() < 8) refuse(path, "shorter than the 8 bytes of its header length");
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length << 8 | static_cast<std::uint64_t>(file[i]);
  if (length > kLongestHeader) refuse(path, "header of " + std::to_string(length) + " bytes is too long");
  if (length > file.size() - 8) refuse(path, "the file ends inside its header (truncated)");
  return length;
}

/// Refuses names that appear twice and nesting that the format does not have, while parsing.
Json parse_header(std::span<const std::byte> text, const std::filesystem::path& path) {
  std::vector<std::vector<std::string>> keys;
  std::string twice;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end && !keys.empty()) {
      auto& names = keys.back();
      std::sort(names.begin(), names.end());
      if (const auto same = std::adjacent_find(names.begin(), names.end()); same != names.end())
        twice = *same;
      keys.pop_back();
    }
    if (event == Json::parse_event_t::key && !keys.empty()) keys.back().push_back(value.get<std::string>());
    if (depth > 4) refuse(path, "header nested too deeply");
    return true;
  };
  const auto* begin = reinterpret_cast<const char*>(text.data());
  auto json = Json::parse(begin, begin + text.size(), watch);
  if (!json.is_object()) refuse(path, "header is not a JSON object");
  if (!twice.empty()) refuse(path, "name used twice in the header: " + twice);
  return json;
}

struct Entry {
  std::string name;
  const ElementType* type = nullptr;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

std::uint64_t natural(const Json& number, const std::filesystem::path& path, const std::string& name) {
  if (!number.is_number_unsigned()) refuse(path, name + ": sizes and offsets must be whole numbers");
  const auto value = number.get<std::uint64_t>();
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    refuse(path, name + ": number too large");
  return value;
}

Entry entry_of(const std::string& name, const Json& json, std::uint64_t data_bytes,
               const std::filesystem::path& path) {
  if (!json.is_object()) refuse(path, name + ": entry is not an object");
  const auto dtype = json.at("dtype").get<std::string>();
  const auto& offsets = json.at("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2 || !json.at("shape").is_array())
    refuse(path, name + ": malformed entry");
  Entry e{name, element_type(dtype), {}, natural(offsets[0], path, name), natural(offsets[1], path, name)};
  if (e.type == nullptr) refuse(path, name + ": unknown element type " + dtype);
  std::uint64_t bytes = e.type->bytes;
  for (const auto& d : json.at("shape")) {
    const auto extent = natural(d, path, name);
    e.shape.push_back(static_cast<std::int64_t>(extent));
    if (__builtin_mul_overflow(bytes, extent, &bytes)) refuse(path, name + ": shape overflows");
  }
  if (e.begin > e.end || e.end > data_bytes) refuse(path, name + " lies outside the file (truncated?)");
  if (e.end - e.begin != bytes) refuse(path, name + ": shape and byte range disagree");
  return e;
}

/// Every byte of the data belongs to exactly one tensor.
void check_cover(const std::vector<Entry>& entries, std::uint64_t data_bytes,
                 const std::filesystem::path& path) {
  std::uint64_t at = 0;
  for (const auto& e : entries) {
    if (e.begin < at) refuse(path, e.name + " overlaps another tensor");
    if (e.begin > at) refuse(path, "unused bytes before " + e.name);
    at = e.end;
  }
  if (at != data_bytes) refuse(path, std::to_string(data_bytes - at) + " bytes too long for its header");
}

}  // namespace

Safetensors Safetensors::open(const std::filesystem::path& path) try {
  Safetensors file;
  file.path_ = path;
  auto mapped = map_file(path, Fault::input);
  file.mapping_ = std::move(mapped.owner), file.bytes_ = mapped.bytes;
  const auto length = header_length(file.bytes_, path);
  const auto data = file.bytes_.subspan(8 + length);
  std::vector<Entry> entries;
  const auto json = parse_header(file.bytes_.subspan(8, length), path);
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__")
      file.metadata_ = value.get<std::map<std::string, std::string>>();
    else
      entries.push_back(entry_of(name, value, data.size(), path));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_cover(entries, data.size(), path);
  for (auto& e : entries) {
    const std::byte* at = data.data() + e.begin;
    if (!e.type->ours) {
      file.unsupported_.push_back(e.name + " (" + std::string(e.type->name) + ")");
      continue;
    }
    if (reinterpret_cast<std::uintptr_t>(at) % e.type->bytes != 0) refuse(path, e.name + " is not aligned");
    file.places_[e.name] = file.tensors_.size();
    file.tensors_.push_back({e.name, *e.type->ours, std::move(e.shape), at});
  }
  return file;
} catch (const nlohmann::json::exception& e) {
  refuse(path, e.what());
}

const TensorRef* Safetensors::find(const std::string& name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace weightscope

#include "store/manifest.hpp"

#include <charconv>
#include <climits>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/file_io.hpp"
#include "core/hash.hpp"
#include "core/mapped_file.hpp"
#include "store/crc_combine.hpp"

namespace weightscope {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::uint32_t crc_of(const std::string& text) { return crc32c(std::as_bytes(std::span(text))); }

OrderedJson json_of(const WrittenFile& file) {
  OrderedJson tensors = OrderedJson::object();
  for (const auto& [name, crc] : file.tensors) tensors[name] = hex(crc);
  return {{"bytes", file.bytes}, {"crc32c", hex(file.crc)}, {"tensors_crc32c", tensors}};
}

/// Eight hexadecimal digits and nothing else.
std::uint32_t crc_from(const OrderedJson& json) {
  const auto& text = json.get_ref<const std::string&>();
  std::uint32_t crc = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), crc, 16);
  require(text.size() == 8 && error == std::errc() && end == text.data() + 8, Fault::input,
          "a checksum is not eight hexadecimal digits");
  return crc;
}

const OrderedJson& object(const OrderedJson& json, const char* key) {
  require(json.at(key).is_object(), Fault::input, std::string(key) + " is not an object");
  return json.at(key);
}

/// JSON turns 1e300 and -1 into whole numbers without a word.
template <class T>
T whole(const OrderedJson& json, const char* key, T least, T most) {
  const auto& number = json.at(key);
  require(number.is_number_unsigned() && number.get<std::uint64_t>() >= static_cast<std::uint64_t>(least) &&
              number.get<std::uint64_t>() <= static_cast<std::uint64_t>(most),
          Fault::input,
          std::string(key) + " is not a whole number from " + std::to_string(least) + " to " +
              std::to_string(most));
  return number.get<T>();
}

double amount(const OrderedJson& json, const char* key) {
  const auto value = json.at(key).get<double>();
  require(value >= 0, Fault::input, std::string(key) + " is negative");
  return value;
}

WrittenFile file_from(const OrderedJson& json) {
  WrittenFile file{whole<std::uint64_t>(json, "bytes", 0, UINT64_MAX), crc_from(json.at("crc32c")), {}};
  for (const auto& [name, crc] : object(json, "tensors_crc32c").items()) file.tensors[name] = crc_from(crc);
  return file;
}

CheckpointInfo info_from(const OrderedJson& json) {
  CheckpointInfo info;
  info.step = whole<std::int64_t>(json, "step", 0, 1'000'000'000'000);
  info.seed = whole<std::uint64_t>(json, "seed", 0, UINT64_MAX);
  info.world_size = whole<int>(json, "world_size", 1, INT_MAX);
  info.tokens = amount(json, "tokens"), info.epoch = amount(json, "epoch");
  info.wall_time = amount(json, "wall_time");
  json.at("config_fingerprint").get_to(info.config_fingerprint);
  json.at("config").get_to(info.config_yaml), json.at("tokenizer").get_to(info.tokenizer);
  return info;
}

}  // namespace

void write_manifest(const std::filesystem::path& directory, const Manifest& manifest) try {
  const auto& info = manifest.info;
  OrderedJson json{{"format", "weightscope-checkpoint"},
                   {"version", 1},
                   {"step", info.step},
                   {"seed", info.seed},
                   {"tokens", info.tokens},
                   {"epoch", info.epoch},
                   {"wall_time", info.wall_time},
                   {"world_size", info.world_size},
                   {"config_fingerprint", info.config_fingerprint},
                   {"config", info.config_yaml},
                   {"tokenizer", info.tokenizer},
                   {"files", OrderedJson::object()}};
  for (const auto& [name, file] : manifest.files) json["files"][name] = json_of(file);
  // The configuration was checked; the description of the data may hold anything, and must not stop a
  // checkpoint.
  json["manifest_crc32c"] = hex(crc_of(json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace)));
  write_file_atomically(directory / "manifest.json",
                        json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
} catch (const nlohmann::json::exception& e) {
  throw Error(Fault::output, "cannot write " + (directory / "manifest.json").string() + ": " + e.what());
}

Manifest read_manifest(const std::filesystem::path& directory) {
  const auto path = directory / "manifest.json";
  const auto text = read_json_text(path, Fault::input);
  try {
    auto json = OrderedJson::parse(text);
    require(json.at("format") == "weightscope-checkpoint" && json.at("version") == 1, Fault::input,
            "it is not the manifest of a checkpoint that this version can read");
    const auto crc = crc_from(json.at("manifest_crc32c"));
    json.erase("manifest_crc32c");
    require(crc == crc_of(json.dump()), Fault::input, "its checksum does not match");
    Manifest manifest{info_from(json), {}};
    for (const auto& [name, file] : object(json, "files").items()) manifest.files[name] = file_from(file);
    return manifest;
  } catch (const std::exception& e) {
    throw Error(Fault::input, path.string() + " is damaged: " + e.what());
  }
}

void verify_file(const Safetensors& file, const WrittenFile& expected, Fault fault) {
  const std::string path = file.path().string();
  const auto all = file.bytes();
  require(all.size() == expected.bytes, fault,
          path + " is damaged: " + std::to_string(all.size()) + " bytes, manifest.json says " +
              std::to_string(expected.bytes));
  std::size_t data = all.size();
  for (const auto& t : file.tensors()) data -= t.bytes();
  auto crc = crc32c(all.first(data));  // the header; tensors() is in file order and covers the rest
  for (const auto& t : file.tensors()) {
    const auto found = expected.tensors.find(t.name);
    const std::span bytes(static_cast<const std::byte*>(t.data), t.bytes());
    const auto own = crc32c(bytes);
    release_pages(bytes);
    require(found != expected.tensors.end() && found->second == own, fault,
            path + " is damaged: checksum of tensor " + t.name + " does not match manifest.json");
    crc = crc32c_combine(crc, own, t.bytes());
  }
  require(crc == expected.crc, fault, path + " is damaged: its checksum does not match manifest.json");
}

}  // namespace weightscope

#include "store/safetensors.hpp"

#include <cmath>
#include <cstring>

#include "core/hash.hpp"
#include "store/crc_combine.hpp"
#include "store/folder.hpp"

namespace weightscope {
namespace {

/// A file with the given header text and `data` bytes of zeros.
std::string file_with(const std::string& header, std::size_t data, std::uint64_t claimed = ~0ULL) {
  if (claimed == ~0ULL) claimed = header.size();
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(claimed >> (8 * i) & 0xff);
  return bytes + header + std::string(data, '\0');
}

struct Sample {
  std::vector<float> a{1.5f, -0.0f, std::numeric_limits<float>::infinity(), 1e-42f, 5, 6};
  std::vector<std::uint16_t> b{1, 2, 0xffff};
  std::vector<double> c{std::nan("")};
  std::vector<std::int64_t> d{};
  std::vector<TensorRef> tensors() const {
    return {{"b", DType::bf16, {3}, b.data()},
            {"h.0.attn.c_attn.weight", DType::f32, {2, 3}, a.data()},
            {"scalar", DType::f64, {}, c.data()},
            {"empty", DType::i64, {0, 7}, d.data()},
            {"ids", DType::u16, {3}, b.data()}};
  }
};

}  // namespace

TEST(Safetensors, ReadsBackEveryBitThatWasWritten) {
  const Folder folder;
  const Sample sample;
  const auto written =
      write_safetensors(folder / "m.safetensors", sample.tensors(), {{"made by", "a \"test\" é"}});
  const auto file = Safetensors::open(folder / "m.safetensors");
  EXPECT_EQ(file.metadata().at("made by"), "a \"test\" é");
  ASSERT_EQ(file.tensors().size(), 5u);
  for (const auto& t : sample.tensors()) {
    const auto* found = file.find(t.name);
    ASSERT_NE(found, nullptr) << t.name;
    EXPECT_EQ(found->shape, t.shape);
    EXPECT_EQ(found->dtype, t.dtype);
    EXPECT_EQ(found->bytes() == 0 || std::memcmp(found->data, t.data, t.bytes()) == 0, true) << t.name;
  }
  EXPECT_EQ(file.find("absent"), nullptr);
  EXPECT_EQ(written.bytes, std::filesystem::file_size(folder / "m.safetensors"));
  EXPECT_EQ(written.crc, crc32c(file.bytes()));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.tensors().front().data) % 64, 0u);
}

TEST(Safetensors, RefusesAFileCutAtAnyLength) {
  const Folder folder;
  const Sample sample;
  write_safetensors(folder / "whole", sample.tensors(), {});
  const auto whole = bytes_of(folder / "whole");
  for (std::size_t n = 0; n < whole.size(); ++n) {
    put(folder / "cut", whole.substr(0, n));
    expect_error(
        Fault::input, (folder / "cut").string(), [&] { Safetensors::open(folder / "cut"); },
        std::to_string(n));
  }
  put(folder / "longer", whole + '\0');
  expect_error(Fault::input, "too long", [&] { Safetensors::open(folder / "longer"); });
}

TEST(Safetensors, RefusesHostileHeaders) {
  const Folder folder;
  const auto refuse = [&](const std::string& why, const std::string& bytes) {
    put(folder / "hostile", bytes);
    expect_error(
        Fault::input, why, [&] { Safetensors::open(folder / "hostile"); }, bytes.substr(0, 200));
  };
  const auto one = [](const std::string& entry) { return "{\"w\":" + entry + "}"; };
  refuse("too long", file_with("{}", 0, 1ULL << 62));
  refuse("too long", file_with("{}" + std::string(17 << 20, ' '), 0));
  refuse("too long", file_with("{}", 0, ~0ULL - 8));
  refuse("inside its header", file_with("{}", 0, 3));
  refuse("", file_with("", 0));
  refuse("", file_with("nonsense", 0));
  refuse("not a JSON object", file_with("[]", 0));
  refuse("not an object", file_with(one("4"), 0));
  refuse("", file_with(one("{}"), 0));
  refuse("unknown element type", file_with(one(R"({"dtype":"F33","shape":[1],"data_offsets":[0,4]})"), 4));
  refuse("malformed", file_with(one(R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})"), 4));
  refuse("malformed", file_with(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})"), 4));
  refuse("whole numbers", file_with(one(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"), 4));
  refuse("whole numbers", file_with(one(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})"), 4));
  refuse("outside", file_with(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})"), 4));
  refuse("outside", file_with(one(R"({"dtype":"F32","shape":[1],"data_offsets":[8,4]})"), 8));
  refuse("disagree", file_with(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"), 4));
  refuse("overflows",
         file_with(one(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})"), 0));
  refuse("too large",
         file_with(one(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]})"), 4));
  refuse("", file_with(one(R"({"dtype":"F32","shape":[99999999999999999999999],"data_offsets":[0,4]})"), 4));
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)";
  refuse("overlaps", file_with("{" + a + R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8));
  refuse("unused bytes",
         file_with("{" + a + R"("b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})", 16));
  refuse("used twice",
         file_with("{" + a + a + R"("b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})", 12));
  refuse("not aligned", file_with(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                  R"("a":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
                                  5));
  refuse("", file_with(std::string(100000, '['), 0));
  refuse("", file_with("{\"\xff\":{}}", 0));
}

TEST(Safetensors, SetsAsideTypesThatTheProgramDoesNotHave) {
  const Folder folder;
  put(folder / "mixed", file_with(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                  R"("mask":{"dtype":"BOOL","shape":[4],"data_offsets":[4,8]}} )",
                                  8));
  const auto file = Safetensors::open(folder / "mixed");
  EXPECT_EQ(file.tensors().size(), 1u);
  EXPECT_EQ(file.unsupported(), std::vector<std::string>{"mask (BOOL)"});
}

TEST(WriteSafetensors, LeavesNoTemporaryAndReportsAPlaceItCannotWriteTo) {
  const Folder folder;
  const Sample sample;
  put(folder / "m.tmp", "left over");
  write_safetensors(folder / "m", sample.tensors(), {});
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  expect_error(Fault::output, "absent",
               [&] { write_safetensors(folder / "absent/m", sample.tensors(), {}); });
}

TEST(CrcCombine, IsTheCrcOfTheTwoPartsTogether) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += static_cast<char>(i * 37 % 251);
  const auto all = std::as_bytes(std::span(text));
  for (const std::size_t cut : {0u, 1u, 7u, 1024u, 2999u, 3000u})
    EXPECT_EQ(crc32c_combine(crc32c(all.first(cut)), crc32c(all.subspan(cut)), all.size() - cut), crc32c(all))
        << cut;
}

}  // namespace weightscope

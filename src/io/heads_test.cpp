// Headers of remote models, read in ranges from the loopback server; and what servers and files can do wrong.
#include <gtest/gtest.h>

#include <algorithm>

#include "io/checkpoint.h"
#include "io/files/format.h"
#include "io/hub/test_hub.h"
#include "io/testing.h"

namespace miao::io {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kFirst = 256 << 10;  // bytes of the first range

class RemoteHeaders : public HubTest {
 protected:
  // 1.2 MB in two shards.
  RemoteHeaders() {
    const std::string data(600000, 'x');
    put("models/org/sharded/config.json", R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 100})");
    put("models/org/sharded/model-00001-of-00002.safetensors",
        SafetensorsBuilder().tensor("a", "F16", {3000, 100}, data).bytes());
    put("models/org/sharded/model-00002-of-00002.safetensors",
        SafetensorsBuilder().tensor("b", "BF16", {100, 3000}, data).bytes());
    put("models/org/sharded/model.safetensors.index.json",
        R"({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})");
    put("models/org/sharded/tokenizer.json", std::string(5000, ' ') + "{}");
    put("models/org/gguf/m-Q8_0.gguf", gguf(20000).bytes());
    put("files/m.gguf", gguf(20000).bytes());
  }

  // Its keys take about 32 bytes a piece, its data 2 MB.
  static GgufBuilder gguf(int pieces) {
    std::vector<std::string> names;
    for (int i = 0; i < pieces; ++i) names.push_back("piece number " + std::to_string(100000 + i) + " of it");
    return GgufBuilder()
        .key("general.architecture", "llama")
        .array("tokenizer.ggml.tokens", names)
        .tensor("rope_freqs.weight", {4}, {2, 3, 4, 5})
        .tensor("token_embd.weight", DType::f16, {1000, 1000}, std::string(2000000, 'y'));
  }
  Error refused(const std::string& ref, const std::string& faults = "[]") {
    server_.faults(faults);
    return failure(open_headers(ref, options_));
  }
  // Bytes that the ranges of the answered requests asked for, and their number.
  std::pair<uint64_t, int> asked(const std::string& path) {
    uint64_t bytes = 0;
    int requests = 0;
    for (const auto& entry : server_.log()) {
      const std::string range = entry["range"].get<std::string>();
      if (entry["path"].get<std::string>().find(path) == std::string::npos || entry["status"] != 206) continue;
      const size_t dash = range.find('-');
      bytes += std::stoull(range.substr(dash + 1)) - std::stoull(range.substr(6, dash - 6)) + 1;
      ++requests;
    }
    return {bytes, requests};
  }
};

TEST_F(RemoteHeaders, ShardsOfARepository) {
  const auto model = open_headers("hf:org/sharded", options_);
  ASSERT_TRUE(model.ok()) << model.error().str();
  ASSERT_EQ(model->tensors().size(), 2u);
  const TensorView& b = *model->find("b");
  EXPECT_EQ(b.shape, (std::vector<int64_t>{100, 3000}));
  EXPECT_EQ(b.dtype, DType::bf16);
  EXPECT_EQ(b.data[b.bytes - 1], std::byte{0});
  EXPECT_EQ(model->bytes(), 1200000u);
  EXPECT_EQ(*model->meta().integer("hidden_size"), 100);
  EXPECT_EQ(model->path(), "hf:org/sharded");
  EXPECT_FALSE((*model->text_file("tokenizer.json")).has_value());
  EXPECT_EQ(asked("cdn").first, 2 * kFirst);
  EXPECT_TRUE(find(home_, "").empty()) << find(home_, "").front();  // nothing is kept
}

TEST_F(RemoteHeaders, ALongHeaderTakesMoreRanges) {
  for (const std::string& ref : {std::string("hf:org/gguf"), server_.url("/files/m.gguf")}) {
    server_.log();
    const auto model = open_headers(ref, options_);
    ASSERT_TRUE(model.ok()) << model.error().str();
    EXPECT_EQ((*model->meta().strings("tokenizer.ggml.tokens"))->size(), 20000u);
    EXPECT_EQ(model->find("token_embd.weight")->bytes, 2000000u);
    EXPECT_EQ(*reinterpret_cast<const float*>(model->find("rope_freqs.weight")->data), 1.0f);
    EXPECT_EQ(GgufMetadata::of(*model).entries().size(), 2u);
    const auto [bytes, requests] = asked(ref.starts_with("hf:") ? "cdn" : "files");
    EXPECT_EQ(requests, 2);
    EXPECT_EQ(bytes, 4 * kFirst);  // of 2.7 MB
  }
}

TEST_F(RemoteHeaders, WhatIsHereIsNotAskedFor) {
  const auto path = resolve("hf:org/sharded", options_);
  ASSERT_TRUE(path.ok());
  server_.log();
  const auto model = open_headers("hf:org/sharded", options_);
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(model->path(), *path);
  EXPECT_EQ(model->find("a")->data[0], std::byte{'x'});
  EXPECT_TRUE(server_.log().empty());
  options_.refresh = true;
  EXPECT_TRUE(open_headers("hf:org/sharded", options_).ok());
  EXPECT_FALSE(server_.log().empty());
  options_.offline = true;
  EXPECT_EQ(refused("hf:org/gguf").code, Code::not_found);
}

TEST_F(RemoteHeaders, ASmallFileMayComeWhole) {
  put("files/small.gguf", GgufBuilder().key("general.architecture", "llama").tensor("a", {2}, {1, 2}).bytes());
  server_.faults(R"([{"no_range": true}])");
  const auto model = open_headers(server_.url("/files/small.gguf"), options_);
  ASSERT_TRUE(model.ok()) << model.error().str();
  EXPECT_EQ(model->find("a")->bytes, 8u);
}

TEST_F(RemoteHeaders, BadServers) {
  const std::string url = server_.url("/files/m.gguf");
  EXPECT_NE(refused(url, R"([{"no_range": true}])").message.find("ignores Range"), std::string::npos);
  EXPECT_NE(refused(url, R"([{"other_range": 7}])").message.find("another range"), std::string::npos);
  EXPECT_NE(refused(url, R"([{"tell_range": false}])").message.find("how large the file is"), std::string::npos);
  EXPECT_EQ(refused(url, R"([{"cut": 1000}])").code, Code::io);
  EXPECT_EQ(refused(url, R"([{"cut": 1000, "framing": "close"}])").code, Code::io);
  EXPECT_EQ(refused(url, R"([{"status": 404}])").code, Code::not_found);
  EXPECT_EQ(refused(server_.url("/files/absent.gguf")).code, Code::not_found);
  // A cut that does not last, and a hub that tells no sizes, are no failures.
  server_.faults(R"([{"cut": 1000, "times": 1}])");
  EXPECT_TRUE(open_headers(url, options_).ok());
  server_.faults(R"([{"tell_range": false}])");
  EXPECT_TRUE(open_headers("hf:org/sharded", options_).ok());
  server_.faults(R"([{"names_only": true}])");
  EXPECT_TRUE(open_headers("hf:org/sharded", options_).ok());
  EXPECT_EQ(refused("hf:org/sharded", R"([{"names_only": true, "tell_range": false}])").code, Code::unsupported);
  // The file changes between two ranges.
  server_.faults(R"([{"path": "m.gguf", "etag": "\"old\"", "times": 1}])");
  const Error changed = failure(open_headers(url, options_));
  EXPECT_NE(changed.message.find("has changed at the server"), std::string::npos) << changed.str();
}

TEST_F(RemoteHeaders, BadFiles) {
  const auto of = [&](const std::string& name, const std::string& bytes) {
    put("files/" + name, bytes);
    const Error error = refused(server_.url("/files/" + name));
    EXPECT_NE(error.where.find("/files/" + name), std::string::npos) << error.str();
    return error.message;
  };
  const std::string whole = gguf(20000).bytes();
  EXPECT_NE(of("cut.gguf", whole.substr(0, 500000)).find("incomplete"), std::string::npos);
  EXPECT_NE(of("short.gguf", whole.substr(0, whole.size() - 100)).find("is incomplete"), std::string::npos);
  GgufBuilder many = gguf(10);
  many.key_count = uint64_t{1} << 60;
  EXPECT_NE(of("keys.gguf", many.bytes()).find("keys, more than"), std::string::npos);
  SafetensorsBuilder large = SafetensorsBuilder().tensor("a", {2}, {1, 2});
  large.header_bytes = uint64_t{1} << 40;
  EXPECT_NE(of("large.safetensors", large.bytes()).find("header length of 1099511627776"), std::string::npos);
  large.header_bytes = 5000;
  EXPECT_NE(of("longer.safetensors", large.bytes()).find("has a header of 5000 bytes but only"), std::string::npos);
  SafetensorsBuilder less = SafetensorsBuilder().tensor("a", "F16", {1000, 1000}, std::string(2000000, 'z'));
  EXPECT_NE(of("less.safetensors", less.bytes().substr(0, 1000000)).find("of 999"), std::string::npos);
  EXPECT_NE(of("page.gguf", "<!doctype html><html></html>").find("is a web page"), std::string::npos);
  EXPECT_NE(of("pickle.bin", std::string("PK\x03\x04", 4) + std::string(100, ' ')).find("pickle"), std::string::npos);
  EXPECT_NE(of("empty.gguf", "").find("is empty"), std::string::npos);
  EXPECT_NE(of("ct2.bin", Ct2Builder().variable("v", {2}, {1, 2}).bytes()).find("CTranslate2"), std::string::npos);
}

TEST_F(RemoteHeaders, PackagesCannotBeReadInPart) {
  const Error error = refused("pypi:tiny");
  EXPECT_EQ(error.code, Code::unsupported);
  EXPECT_NE(error.message.find("miao pull pypi:tiny"), std::string::npos);
}

// Of every beginning of a file: what is missing is asked for, and no beginning is taken for the whole.
TEST(HeaderBytes, OfEveryBeginning) {
  const std::string gguf = GgufBuilder()
                               .key("general.architecture", "llama")
                               .array("list", std::vector<std::string>{"one", "two"})
                               .array("numbers", std::vector<float>{1, 2, 3})
                               .tensor("a", {2, 40}, std::vector<float>(80))
                               .bytes();
  const std::string safetensors = SafetensorsBuilder().tensor("a", {2, 40}, std::vector<float>(80)).bytes();
  for (const auto& [name, file, first] :
       {std::tuple("m.gguf", gguf, size_t{4}), {"m.safetensors", safetensors, size_t{9}}}) {
    uint64_t header = 0;
    for (size_t n = file.size(); n >= first; --n) {
      const Bytes head = std::as_bytes(std::span(file).first(n));
      const auto need = header_bytes(head, file.size(), name);
      ASSERT_TRUE(need.ok()) << name << n << need.error().str();
      if (n == file.size()) header = *need;
      if (n >= header) {
        EXPECT_EQ(*need, header);
      } else {
        EXPECT_GT(*need, n);
        EXPECT_LE(*need, header);
      }
    }
    EXPECT_LT(header, file.size() - 300);
  }
}

}  // namespace
}  // namespace miao::io

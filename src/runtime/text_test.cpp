#include "runtime/text.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "io/testing.h"

namespace miao::runtime {
namespace {

// A Hugging Face directory without weights worth the name.
struct Folder {
  io::TempDir dir;

  Folder() {
    put("config.json", R"({"architectures":["LlamaForCausalLM"]})");
    EXPECT_TRUE(io::SafetensorsBuilder().tensor("x", {1}, {1}).write(dir / "model.safetensors").ok());
  }
  void put(const char* name, std::string_view text) { ASSERT_TRUE(write_file_atomic(dir / name, text).ok()); }
  Result<std::optional<prep::ChatTemplate>> chat_template() {
    MIAO_TRY(io::Checkpoint checkpoint, io::Checkpoint::open(dir.path()));
    return load_chat_template(checkpoint);
  }
};

std::string source_of(const Result<std::optional<prep::ChatTemplate>>& loaded) {
  if (!loaded.ok()) return "error: " + loaded.error().str();
  return *loaded ? (*loaded)->source() : "none";
}

TEST(Text, ChatTemplateOfHuggingFace) {
  Folder f;
  EXPECT_EQ(source_of(f.chat_template()), "none");
  f.put("tokenizer_config.json", R"({"bos_token":"<s>"})");
  EXPECT_EQ(source_of(f.chat_template()), "none");
  f.put("tokenizer_config.json", R"({"chat_template":null})");
  EXPECT_EQ(source_of(f.chat_template()), "none");
  f.put("tokenizer_config.json", R"({"chat_template":"one"})");
  EXPECT_EQ(source_of(f.chat_template()), "one");
  f.put("tokenizer_config.json",
        R"({"chat_template":[{"name":"tool_use","template":"two"},{"name":"default","template":"three"}]})");
  EXPECT_EQ(source_of(f.chat_template()), "three");
  f.put("chat_template.json", R"({"chat_template":"older"})");
  EXPECT_EQ(source_of(f.chat_template()), "older");
  f.put("chat_template.json", R"({"chat_template":null})");
  EXPECT_EQ(source_of(f.chat_template()), "three");
  f.put("chat_template.json", R"({"chat_template":7})");
  EXPECT_TRUE(source_of(f.chat_template()).starts_with("error: ")) << source_of(f.chat_template());
  f.put("chat_template.jinja", "four");
  EXPECT_EQ(source_of(f.chat_template()), "four");
}

TEST(Text, BadChatTemplates) {
  for (const char* config : {R"({"chat_template":7})", R"({"chat_template":[{"name":"tool_use","template":"x"}]})",
                             R"({"chat_template":[{"name":"default"}]})", R"({"chat_template":[1]})",
                             R"({"chat_template":"{% if %}"})", "{"}) {
    Folder f;
    f.put("tokenizer_config.json", config);
    auto loaded = f.chat_template();
    ASSERT_FALSE(loaded.ok()) << config;
    EXPECT_NE(loaded.error().str().find("tokenizer_config.json"), std::string::npos) << loaded.error().str();
  }
}

TEST(Text, OfGguf) {
  const io::TempDir dir;
  io::GgufBuilder b;
  b.key("general.architecture", "llama").tensor("x", {1}, {1});
  ASSERT_TRUE(b.write(dir / "plain.gguf").ok());
  auto plain = io::Checkpoint::open(dir / "plain.gguf");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(source_of(load_chat_template(*plain)), "none");
  EXPECT_FALSE(load_tokenizer(*plain).ok());

  b.key("tokenizer.chat_template", "five");
  ASSERT_TRUE(b.write(dir / "chat.gguf").ok());
  auto chat = io::Checkpoint::open(dir / "chat.gguf");
  ASSERT_TRUE(chat.ok());
  EXPECT_EQ(source_of(load_chat_template(*chat)), "five");
}

TEST(Text, NoTokenizer) {
  Folder f;
  auto checkpoint = io::Checkpoint::open(f.dir.path());
  ASSERT_TRUE(checkpoint.ok());
  auto tokenizer = load_tokenizer(*checkpoint);
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_EQ(tokenizer.error().code, Code::not_found);
  EXPECT_NE(tokenizer.error().str().find("tokenizer.json"), std::string::npos);
}

TEST(Text, SentencePieceWithoutTokenizerJson) {
  Folder f;
  const auto golden = std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/sentencepiece/t5";
  f.put("spiece.model", *read_file(golden / "spiece.model"));
  f.put("config.json", R"({"architectures":["T5ForConditionalGeneration"],"model_type":"t5"})");
  auto checkpoint = io::Checkpoint::open(f.dir.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().str();
  auto tokenizer = load_tokenizer(*checkpoint);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().str();
  EXPECT_EQ(tokenizer->encode("the water")->back(), 1);
  EXPECT_EQ(tokenizer->decode(*tokenizer->encode("the water")), "the water");
}

}  // namespace
}  // namespace miao::runtime

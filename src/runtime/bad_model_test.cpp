// Every key of a sound model set to what it must not be: another kind, zero, negative, huge, not finite. Each file is
// refused by an Error that names it, or opens and computes; none crashes, hangs or takes much memory.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <limits>
#include <set>

#include "base/json.h"
#include "base/log.h"
#include "io/testing.h"
#include "models/testing.h"
#include "prep/tokenizer.h"
#include "runtime/engine.h"
#include "runtime/testing.h"

namespace miao::runtime {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMuch = int64_t{1} << 30;  // of memory, although a sanitizer holds freed memory back
const fs::path kGolden = fs::path(MIAO_SOURCE_DIR) / "tests/golden/models";

// Why the model (or its tokenizer) cannot be used; empty where it answers a few tokens.
std::string refusal(const fs::path& path, bool text) {
  auto engine = Engine::open(path, {.threads = 1, .ctx = 32, .chunk = 4});
  if (!engine.ok()) return engine.error().str();
  if (text) {
    const auto tokenizer = (*engine)->tokenizer();
    if (!tokenizer.ok()) return tokenizer.error().str();
    const auto ids = (*tokenizer)->encode("the cat, \u00e9 <s>");
    if (!ids.ok()) return ids.error().str();
    (void)(*tokenizer)->decode(*ids);
    if (const auto chat = (*engine)->chat_template(); !chat.ok()) return chat.error().str();
  }
  Sequence sequence = (*engine)->new_sequence();
  const std::vector<int32_t> ids = {1, 5, 3, 0, 2};
  const auto logits = (*engine)->forward(sequence, ids);
  return logits.ok() ? std::string() : logits.error().str();
}

void expect_sensible(const std::string& why, const fs::path& file, const std::string& what) {
  EXPECT_EQ(why.rfind(file.string(), 0), 0u) << what << ": " << why;
  EXPECT_LT(why.size(), 3100u) << what;
}

struct Quiet {  // models made for one position are warned of
  Quiet() { set_log_level(LogLevel::error); }
  ~Quiet() { set_log_level(LogLevel::warn); }
};

int64_t peak_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) << 10;
}

// ---------------------------------------------------------------- GGUF

io::GgufBuilder sound_gguf() {
  std::vector<std::string> pieces;
  std::vector<int32_t> types;
  add_byte_pieces(pieces, types);
  pieces.insert(pieces.end(), {"\u2581the", "cat", "\u2581"});
  types.insert(types.end(), {1, 1, 1});
  std::vector<float> scores;
  for (size_t i = 0; i < pieces.size(); ++i) scores.push_back(-static_cast<float>(i));
  io::GgufBuilder b = models::TinyModel{.vocab = static_cast<int64_t>(pieces.size())}.gguf();
  b.key("llama.rope.freq_base", 1e4f).key("llama.rope.scaling.type", "yarn").key("llama.rope.scaling.factor", 2.0f);
  b.key("llama.rope.scaling.original_context_length", uint32_t{256});
  b.key("tokenizer.ggml.model", "llama").array("tokenizer.ggml.tokens", pieces);
  b.array("tokenizer.ggml.scores", scores).array("tokenizer.ggml.token_type", types);
  for (const char* id : {"bos", "eos", "unknown", "padding"}) {
    b.key(std::string("tokenizer.ggml.") + id + "_token_id", uint32_t{1});
  }
  for (const char* flag : {"add_bos_token", "add_eos_token", "add_space_prefix", "remove_extra_whitespaces"}) {
    b.key(std::string("tokenizer.ggml.") + flag, true);
  }
  return b.key("tokenizer.chat_template", "{{ messages[0].content }}");
}

using Key = io::GgufBuilder::Key;
enum class Kind { number, flag, text, list };
Kind kind_of(uint32_t type) {
  return type == 8 ? Kind::text : type == 9 ? Kind::list : type == 7 ? Kind::flag : Kind::number;
}

// Values of every kind, the odd ones of each, under one name.
std::vector<Key> odd_values(const std::string& name) {
  io::GgufBuilder b;
  b.key(name, uint8_t{0}).key(name, int8_t{-1}).key(name, uint16_t{65535}).key(name, int16_t{-32768});
  for (const uint32_t v : {0u, 1u, 3u, 1u << 31, ~0u}) b.key(name, v);
  b.key(name, int32_t{-1}).key(name, int32_t{INT32_MIN}).key(name, uint64_t{INT64_MAX}).key(name, int64_t{INT64_MIN});
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double v : {0.0, -0.5, 0.5, 1e30, infinity, -infinity, std::nan("")}) b.key(name, static_cast<float>(v));
  b.key(name, 1e300).key(name, 5e-324).key(name, true).key(name, false);
  b.key(name, "").key(name, "x").key(name, "\xff\xfe").key(name, std::string(70000, 'y'));
  b.array(name, std::vector<uint32_t>{}).array(name, std::vector<uint32_t>{1}).array(name, std::vector<int64_t>{-1});
  b.array(name, std::vector<uint32_t>(100000, 7)).array(name, std::vector<float>{std::nanf("")});
  b.array(name, std::vector<uint8_t>{0, 255}).array(name, std::vector<double>{1e300, infinity});
  b.array(name, std::vector<std::string>{}).array(name, std::vector<std::string>{"a", ""});
  b.array(name, std::vector<std::string>(1000, "same")).array(name, std::vector<std::string>{"\xff"});
  return b.keys;
}

TEST(BadModel, EveryKeyOfAGgufFile) {
  const Quiet quiet;
  const io::TempDir dir;
  const fs::path file = dir / "m.gguf";
  ASSERT_TRUE(sound_gguf().write(file).ok());
  ASSERT_EQ(refusal(file, true), "");
  const int64_t before = peak_bytes();
  int refused = 0;
  const size_t keys = sound_gguf().keys.size();
  for (size_t i = 0; i < keys; ++i) {
    const Key good = sound_gguf().keys[i];
    for (const Key& odd : odd_values(good.name)) {
      io::GgufBuilder b = sound_gguf();
      b.keys[i] = odd;
      ASSERT_TRUE(b.write(file).ok());
      const std::string what = good.name + " of type " + std::to_string(odd.type);
      SCOPED_TRACE(what);
      const std::string why = refusal(file, true);
      if (!why.empty()) {
        ++refused;
        expect_sensible(why, file, what);
      }
      if (good.name == "general.name") continue;  // used by nobody
      if (kind_of(odd.type) != kind_of(good.type)) {
        EXPECT_NE(why.find(good.name), std::string::npos) << what << ": " << why;
      }
    }
  }
  EXPECT_GT(refused, 500);
  EXPECT_LT(peak_bytes() - before, kMuch);
}

// ---------------------------------------------------------------- Hugging Face

const char* const kOddJson[] = {"null",
                                "true",
                                "false",
                                "0",
                                "-1",
                                "1",
                                "3",
                                "1.5",
                                "-0.0",
                                "1e-320",
                                "1e300",
                                "-1e300",
                                "2147483648",
                                "9007199254740993",
                                "9223372036854775807",
                                "18446744073709551615",
                                "\"\"",
                                "\"x\"",
                                "\"1\"",
                                "\"\\u0000\"",
                                "[]",
                                "[0]",
                                "[-1]",
                                "[1e300]",
                                "[\"x\"]",
                                "[null]",
                                "[[1]]",
                                "{}",
                                "{\"a\":1}",
                                "{\"factor\":-1}"};

// Keys that decide what is computed: a value of a kind that no such key has is refused.
const std::set<std::string> kUsed = {
    "architectures",       "head_dim",          "hidden_act",   "hidden_activation",
    "hidden_size",         "intermediate_size", "rms_norm_eps", "max_position_embeddings",
    "num_attention_heads", "num_hidden_layers", "vocab_size",   "num_key_value_heads"};

void every_key_of_a_config(const char* model) {
  const Quiet quiet;
  const io::TempDir dir;
  const fs::path file = dir / "config.json";
  fs::create_symlink(kGolden / model / "model.safetensors", dir / "model.safetensors");
  const auto text = read_file(kGolden / model / "config.json");
  ASSERT_TRUE(text.ok());
  const auto config = parse_json(*text, file.string());
  ASSERT_TRUE(config.ok());
  const auto check = [&](const Json& changed, const std::string& key, const std::string& value) {
    std::ofstream(file) << dump_json(changed);
    const std::string what = std::string(model) + ": " + key + " = " + value, why = refusal(dir.path(), false);
    if (!why.empty()) expect_sensible(why, dir.path(), what);
    if (kUsed.contains(key) && (value == "\"x\"" || value == "{\"a\":1}" || value == "[[1]]" || value == "true")) {
      EXPECT_NE(why.find(key), std::string::npos) << what << ": " << why;
    }
  };
  check(*config, "", "");
  const int64_t before = peak_bytes();
  for (const auto& [key, value] : config->items()) {
    for (const char* odd : kOddJson) {
      Json changed = *config;
      changed[key] = Json::parse(odd);
      check(changed, key, odd);
      if (!value.is_object()) continue;
      for (const auto& [inner, unused] : value.items()) {
        changed = *config;
        changed[key][inner] = Json::parse(odd);
        check(changed, key + "." + inner, odd);
      }
    }
  }
  EXPECT_LT(peak_bytes() - before, kMuch) << model;
}

TEST(BadModel, EveryKeyOfAConfig) { every_key_of_a_config("llama-yarn"); }

TEST(SlowBadModel, EveryKeyOfTheConfigsOfAllFamilies) {
  for (const auto& entry : fs::directory_iterator(kGolden)) {
    if (fs::exists(entry.path() / "model.safetensors")) every_key_of_a_config(entry.path().filename().c_str());
  }
}

TEST(BadModel, EveryTruncationOfAConfig) {
  const io::TempDir dir;
  fs::create_symlink(kGolden / "llama/model.safetensors", dir / "model.safetensors");
  auto text = read_file(kGolden / "llama/config.json");
  ASSERT_TRUE(text.ok());
  while (text->back() != '}') text->pop_back();
  for (size_t size = 0; size < text->size(); ++size) {
    std::ofstream(dir / "config.json") << text->substr(0, size);
    const std::string why = refusal(dir.path(), false);
    ASSERT_NE(why, "") << size;
    expect_sensible(why, dir / "config.json", std::to_string(size));
  }
}

}  // namespace
}  // namespace miao::runtime

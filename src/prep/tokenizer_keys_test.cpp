// Tokenizers written as GGUF keys and read back: the same ids, or an Error that says what such files have no words for.
#include "prep/tokenizer_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/json.h"
#include "prep/tok/spm_file.h"
#include "prep/tokenizer_test_support.h"

namespace miao::prep {
namespace {

namespace fs = std::filesystem;

KeyValues read_as(const TokenizerKeys& written) {
  KeyValues kv("test.gguf");
  for (const auto& [key, value] : written.keys) {
    std::visit(
        [&, k = key](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          KeyValues::Value read;
          if constexpr (std::is_same_v<T, bool>) {
            read = v;
          } else if constexpr (std::is_same_v<T, uint32_t>) {
            read = int64_t{v};
          } else if constexpr (std::is_same_v<T, std::string>) {
            read = kv.intern(v);
          } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
            KeyValues::Strings texts;
            for (const std::string& text : v) texts.push_back(kv.intern(text));
            read = texts;
          } else if constexpr (std::is_same_v<T, std::vector<float>>) {
            read = KeyValues::Floats(v.begin(), v.end());
          } else {
            read = KeyValues::Ints(v.begin(), v.end());
          }
          EXPECT_TRUE(kv.set(k, read)) << k;
        },
        value);
  }
  return kv;
}

std::string text_of(const Json& row) {
  if (row.contains("text")) return row["text"].get<std::string>();
  const auto hex = row["hex"].get<std::string>();
  std::string out;
  for (size_t i = 0; i < hex.size(); i += 2) out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

// Nothing of what the notes speak of: no marks, no blanks but single ones, no control tokens; and no dots in a row,
// which the map of the Unigram samples joins.
bool is_plain(std::string_view text) {
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f && c != '<'; });
  return ascii && text.find("  ") == text.npos && text.find("..") == text.npos && !text.starts_with(' ') &&
         !text.ends_with(' ');
}

// The same ids from the keys: of all texts, or of the plain ones where there are notes.
void expect_same(const Tokenizer& tokenizer, const TokenizerKeys& written, const Json& cases) {
  auto again = Tokenizer::from_gguf(read_as(written));
  ASSERT_TRUE(again.ok()) << again.error().str();
  size_t compared = 0;
  for (const Json& row : cases) {
    const std::string text = text_of(row);
    if (!written.notes.empty() && !is_plain(text)) continue;
    ++compared;
    for (const bool special : {true, false}) {
      const EncodeOptions options{.add_special = special};
      EXPECT_EQ(*again->encode(text, options), *tokenizer.encode(text, options)) << text;
    }
  }
  EXPECT_GE(compared, 5u);
  EXPECT_EQ(again->unk_id(), tokenizer.unk_id());
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (!tokenizer.id_to_piece(id).empty()) EXPECT_EQ(again->is_special(id), tokenizer.is_special(id)) << id;
  }
}

const std::string& text_at(const TokenizerKeys& written, std::string_view key) {
  static const std::string kNone;
  for (const auto& [name, value] : written.keys) {
    if (name == key && std::holds_alternative<std::string>(value)) return std::get<std::string>(value);
  }
  return kNone;
}

// What becomes of each: the kind and the name of its pre-tokenizer, or what such files cannot say.
struct Outcome {
  const char *model, *pre, *error, *note;
};
const std::map<std::string, Outcome>& outcomes() {
  constexpr const char *kNormalizer = "what the normalizer", *kExpressions = "expressions have no name",
                       *kAround = "what stands around a text";
  static const std::map<std::string, Outcome> table = {
      {"bailing", {"gpt2", "qwen2", nullptr, nullptr}},
      {"bert", {"bert", "default", nullptr, nullptr}},
      {"bert_cased", {"bert", "default", nullptr, nullptr}},
      {"bloom", {"gpt2", "bloom", nullptr, nullptr}},
      {"bytes_added", {nullptr, nullptr, kNormalizer, nullptr}},
      {"bytes_fold", {nullptr, nullptr, kNormalizer, nullptr}},
      {"bytes_nfc", {"gpt2", "qwen2", nullptr, "NFC"}},
      {"bytes_nfd", {nullptr, nullptr, kNormalizer, nullptr}},
      {"bytes_nfkc", {nullptr, nullptr, kNormalizer, nullptr}},
      {"bytes_nfkd", {nullptr, nullptr, kNormalizer, nullptr}},
      {"chars_cut", {nullptr, nullptr, kNormalizer, nullptr}},
      {"cl100k", {"gpt2", "dbrx", nullptr, nullptr}},
      {"deepseek3", {"gpt2", "deepseek-v3", nullptr, nullptr}},
      {"deepseek_coder", {"gpt2", "deepseek-coder", nullptr, nullptr}},
      {"falcon", {"gpt2", "falcon", nullptr, nullptr}},
      {"gemma", {"gemma4", "default", nullptr, nullptr}},
      {"gpt2", {"gpt2", "gpt-2", nullptr, nullptr}},
      {"llama2", {nullptr, nullptr, "merges of this BPE", nullptr}},
      {"llama2_new", {nullptr, nullptr, "merges of this BPE", nullptr}},
      {"llama3", {"gpt2", "dbrx", nullptr, nullptr}},
      {"minicpm5", {"gpt2", "minicpm5", nullptr, nullptr}},
      {"o200k", {"gpt2", "gpt-4o", nullptr, nullptr}},
      {"qwen2", {"gpt2", "qwen2", nullptr, nullptr}},
      {"qwen35", {"gpt2", "qwen35", nullptr, nullptr}},
      {"roberta", {"gpt2", "gpt-2", nullptr, nullptr}},
      {"seed", {"gpt2", "seed-coder", nullptr, nullptr}},
      {"smollm", {"gpt2", "smollm", nullptr, nullptr}},
      {"t5", {"t5", "default", nullptr, "what SentencePiece does"}},
      {"t5_new", {"t5", "default", nullptr, "what SentencePiece does"}},
      {"tekken", {"gpt2", "tekken", nullptr, nullptr}},
      {"ufakzeka", {nullptr, nullptr, kExpressions, nullptr}},
      {"unigram_parts", {nullptr, nullptr, "cuts text into words", nullptr}},
      {"unigram_words", {nullptr, nullptr, kNormalizer, nullptr}},
      {"dir_llama", {"llama", "default", nullptr, nullptr}},
      {"dir_t5", {"t5", "default", nullptr, "added tokens"}},
      {"dir_xlmr", {"t5", "default", nullptr, "added tokens"}},
      {"dir_m2m", {nullptr, nullptr, kAround, nullptr}},
      {"dir_marian", {nullptr, nullptr, kAround, nullptr}},
      {"dir_marian_many", {nullptr, nullptr, kAround, nullptr}},
      {"dir_marian_two", {nullptr, nullptr, kAround, nullptr}},
      {"dir_mbart", {nullptr, nullptr, kAround, nullptr}},
      {"dir_mbart50", {nullptr, nullptr, kAround, nullptr}},
      {"dir_nllb", {nullptr, nullptr, kAround, nullptr}},
      {"dir_nllb_old", {nullptr, nullptr, kAround, nullptr}},
  };
  return table;
}

void expect_outcome(const std::string& name, const Tokenizer& tokenizer, const Json& cases) {
  ASSERT_TRUE(outcomes().contains(name)) << "a new sample: what becomes of it?";
  const Outcome& want = outcomes().at(name);
  constexpr int64_t kMore = 3;  // rows of the model's table behind the tokens
  const auto written = gguf_keys(tokenizer, tokenizer.vocab_size() + kMore);
  if (want.error) {
    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error().code, Code::unsupported);
    EXPECT_NE(written.error().str().find(want.error), std::string::npos) << written.error().str();
    EXPECT_NE(written.error().str().find("write safetensors instead"), std::string::npos);
    return;
  }
  ASSERT_TRUE(written.ok()) << written.error().str();
  EXPECT_EQ(text_at(*written, "tokenizer.ggml.model"), want.model);
  EXPECT_EQ(text_at(*written, "tokenizer.ggml.pre"), want.pre);
  ASSERT_EQ(written->notes.size(), want.note ? 1u : 0u) << written->notes.front();
  if (want.note) EXPECT_NE(written->notes[0].find(want.note), std::string::npos) << written->notes[0];
  expect_same(tokenizer, *written, cases);
}

class Keys : public testing::TestWithParam<std::string> {};

TEST_P(Keys, GiveTheSameIds) {
  const std::string name = GetParam();
  if (name.starts_with("dir_")) {
    const fs::path directory = test::sentencepiece_directory() / name.substr(4);
    auto tokenizer = Tokenizer::from_files(test::reader_of(directory), "d");
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().str();
    return expect_outcome(name, *tokenizer, Json::parse(*read_file(directory / "cases.json"))["cases"]);
  }
  const Json golden = test::golden_json(name + ".json");
  auto tokenizer = Tokenizer::from_json(dump_json(test::patched_base(golden)), "", name);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().str();
  expect_outcome(name, *tokenizer, golden["cases"]);
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(test::golden_directory())) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() == ".json" && !name.starts_with("base_")) out.push_back(name);
  }
  for (const auto& entry : fs::directory_iterator(test::sentencepiece_directory()))
    if (entry.is_directory()) out.push_back("dir_" + entry.path().stem().string());
  std::sort(out.begin(), out.end());
  return out;
}

INSTANTIATE_TEST_SUITE_P(Golden, Keys, testing::ValuesIn(names()), [](const auto& info) { return info.param; });

// SentencePiece models alone, and then as the keys of a GGUF file and back.
TEST(TokenizerKeys, OfSentencePieceModels) {
  for (const char* name : {"bpe", "bpe_bytes", "unigram", "unigram_bytes"}) {
    SCOPED_TRACE(name);
    const std::string stem = name;
    auto tokenizer =
        Tokenizer::from_sentencepiece(*read_file(test::sentencepiece_directory() / (stem + ".model")), "m");
    ASSERT_TRUE(tokenizer.ok());
    const auto written = gguf_keys(*tokenizer, tokenizer->vocab_size());
    ASSERT_TRUE(written.ok()) << written.error().str();
    expect_same(*tokenizer, *written,
                Json::parse(*read_file(test::sentencepiece_directory() / (stem + ".json")))["cases"]);
    auto again = Tokenizer::from_gguf(read_as(*written));
    const auto twice = gguf_keys(*again, again->vocab_size());
    ASSERT_TRUE(twice.ok()) << twice.error().str();
    EXPECT_EQ(twice->keys, written->keys);
  }
  auto suffix =
      Tokenizer::from_sentencepiece(*read_file(test::sentencepiece_directory() / "unigram_suffix.model"), "m");
  EXPECT_NE(gguf_keys(*suffix, 100000).error().str().find("end with a blank"), std::string::npos);
}

// A SentencePiece model as transformers writes it to tokenizer.json: merges in the order of scores. They become scores
// again.
Json as_merges(const SpmFile& file) {
  Json vocab = Json::object(), merges = Json::array();
  std::vector<std::pair<float, std::pair<std::string, std::string>>> scored;
  for (int32_t id = 0; id < file.size(); ++id) vocab[std::string(file.pieces[static_cast<size_t>(id)].text)] = id;
  for (const SpmFile::Piece& piece : file.pieces) {
    if (piece.type != SpmFile::Type::normal) continue;
    for (size_t at = 1; at < piece.text.size(); ++at) {
      const std::string left(piece.text.substr(0, at)), right(piece.text.substr(at));
      if (vocab.contains(left) && vocab.contains(right)) scored.push_back({piece.score, {left, right}});
    }
  }
  std::stable_sort(scored.begin(), scored.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [score, pair] : scored) merges.push_back({pair.first, pair.second});
  Json added = Json::array();
  for (const char* text : {"<unk>", "<s>", "</s>"})
    added.push_back({{"id", vocab[text]}, {"content", text}, {"special", true}});
  const Json steps = {{{"type", "Prepend"}, {"prepend", "\u2581"}},
                      {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}};
  return {{"added_tokens", added},
          {"normalizer", {{"type", "Sequence"}, {"normalizers", steps}}},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "<unk>"},
            {"fuse_unk", true},
            {"byte_fallback", true},
            {"vocab", vocab},
            {"merges", merges}}}};
}

TEST(TokenizerKeys, MergesBecomeScores) {
  const std::string bytes = *read_file(test::sentencepiece_directory() / "bpe_bytes.model");
  const auto file = parse_spm(bytes);
  ASSERT_TRUE(file.ok());
  auto tokenizer = Tokenizer::from_json(dump_json(as_merges(*file)), "", "t");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().str();
  const auto written = gguf_keys(*tokenizer, tokenizer->vocab_size());
  ASSERT_TRUE(written.ok()) << written.error().str();
  EXPECT_EQ(text_at(*written, "tokenizer.ggml.model"), "llama");
  expect_same(*tokenizer, *written,
              Json::parse(*read_file(test::sentencepiece_directory() / "bpe_bytes.json"))["cases"]);
}

TEST(TokenizerKeys, MoreTokensThanRowsIsAnError) {
  const Json golden = test::golden_json("gpt2.json");
  auto tokenizer = Tokenizer::from_json(dump_json(test::patched_base(golden)), "", "t");
  const auto written = gguf_keys(*tokenizer, tokenizer->vocab_size() - 1);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, Code::invalid);
  EXPECT_NE(written.error().str().find("rows"), std::string::npos);
}

}  // namespace
}  // namespace miao::prep

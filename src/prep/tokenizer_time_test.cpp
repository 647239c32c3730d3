// Time and memory of encode(): linear in the text, for usual tokenizers and for those that a stranger made to be slow.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <ctime>
#include <functional>

#include "prep/tokenizer.h"
#include "prep/tokenizer_test_support.h"

namespace miao::prep {
namespace {

Tokenizer from(const Json& document) {
  auto made = Tokenizer::from_json(dump_json(document), "", "test");
  EXPECT_TRUE(made.ok()) << made.error().str();
  return *made;
}
Tokenizer from(const KeyValues& meta) {
  auto made = Tokenizer::from_gguf(meta);
  EXPECT_TRUE(made.ok()) << made.error().str();
  return *made;
}
std::string repeat(std::string_view pattern, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += pattern;
  return text;
}

struct Slow {
  std::string name;
  std::function<Tokenizer()> make;
  std::vector<std::string> patterns;  // the text repeats one
};

// A repeated pattern, a run of one letter and so on.
const std::vector<std::string> kLongWords = {
    "a", " ",  "Z",      "the end", "\n",   "\r\n ",           "'", "9", "\u4e00", "\u05d0A", "a\u0301\u0316",
    ".", "<|", "<0x41>", "\u2581",  "\t x", "\U0001F468\u200D"};

Json usual(const char* base) { return test::golden_json(std::string("base_") + base + ".json"); }

// Pieces that share long beginnings: a search from each place of a run of 'a' goes as far as it is let.
Tokenizer long_unigram() {
  Json document = usual("unigram");
  for (size_t n = 2; n <= 256; ++n) document["model"]["vocab"].push_back(Json::array({std::string(n, 'a'), -1.0}));
  return from(document);
}
Tokenizer long_words() {
  Json document = usual("words");
  Json& model = document["model"];
  model["max_input_chars_per_word"] = 1'000'000'000;
  for (const std::string& piece : {"##" + std::string(253, 'a') + "b", std::string(255, 'a') + "b"})
    model["vocab"][piece] = model["vocab"].size();
  return from(document);
}
Tokenizer long_added(bool normalized) {
  Json document = usual("bytes");
  document["added_tokens"].push_back(
      Json{{"id", 1450}, {"content", std::string(255, 'a') + "b"}, {"special", false}, {"normalized", normalized}});
  return from(document);
}
// Whitespace that each token takes to both sides, over and over.
Tokenizer greedy_added() {
  Json document = usual("bytes");
  int64_t id = 1450;
  for (const auto& [content, lstrip, rstrip] :
       {std::tuple{" ", false, true}, std::tuple{"\t", true, false}, std::tuple{"\n", false, false}}) {
    document["added_tokens"].push_back(
        Json{{"id", id++}, {"content", content}, {"lstrip", lstrip}, {"rstrip", rstrip}});
  }
  return from(document);
}
// Merges that grow a symbol by one letter at a time.
Tokenizer long_merges() {
  Json document = usual("bytes");
  Json& model = document["model"];
  for (size_t n = 2; n <= 500; ++n) {
    model["vocab"][std::string(n, 'Z')] = 1500 + n;
    model["merges"].push_back(Json::array({std::string(n - 1, 'Z'), "Z"}));
  }
  document["pre_tokenizer"]["use_regex"] = false;
  return from(document);
}
Tokenizer long_sentencepiece() {
  test::GgufVocab v;
  v.model = "llama";
  v.pre.clear();
  v.tokens = {"<unk>", "<s>", "</s>", "\u2581"};
  v.types = {2, 3, 3, 1};
  for (size_t n = 1; n <= 2000; ++n) {
    v.tokens.emplace_back(n, 'a');
    v.types.push_back(1);
  }
  for (size_t i = 0; i < v.tokens.size(); ++i) v.scores.push_back(-static_cast<double>(i));
  return from(v.meta());
}
// A map whose trie is a ring: 'a' leads to where it was.
Tokenizer ring_charsmap() {
  test::GgufVocab v;
  v.model = "t5";
  v.tokens = {"<pad>", "</s>", "<unk>", "a"};
  v.types = {3, 3, 2, 1};
  v.scores = {0, 0, 0, -1};
  std::vector<uint32_t> units(128);
  units['a'] = uint32_t{'a'} | uint32_t{'a'} << 10;
  KeyValues::Ints blob;
  const auto put = [&](uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) blob.push_back(value >> shift & 255);
  };
  put(static_cast<uint32_t>(units.size() * 4));
  for (uint32_t unit : units) put(unit);
  KeyValues kv = v.meta();
  kv.set("tokenizer.ggml.precompiled_charsmap", blob);
  return from(kv);
}

const std::vector<Slow>& slow_tokenizers() {
  static const std::vector<Slow> table = {
      {"byte-level BPE", [] { return from(usual("bytes")); }, kLongWords},
      {"BPE", [] { return from(usual("chars")); }, kLongWords},
      {"Unigram", [] { return from(usual("unigram")); }, kLongWords},
      {"WordPiece", [] { return from(usual("words")); }, kLongWords},
      {"Unigram, long pieces", long_unigram, {"a"}},
      {"WordPiece, long pieces", long_words, {"a"}},
      {"added token, long", [] { return long_added(false); }, {"a"}},
      {"added token, long and normalized", [] { return long_added(true); }, {"a"}},
      {"added tokens that take whitespace", greedy_added, {" ", "\t", " \t", " \n", "\t\n"}},
      {"BPE, long merges", long_merges, {"Z"}},
      {"SentencePiece, long pieces", long_sentencepiece, {"a"}},
      {"character map that is a ring", ring_charsmap, {"a"}},
  };
  return table;
}

// Time of the processor, not of the clock: other programs may run beside a test.
double seconds_of(const Tokenizer& t, std::string_view text) {
  const std::clock_t start = std::clock();
  const auto ids = t.encode(text);
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  EXPECT_TRUE(ids.ok());
  EXPECT_LE(ids->size(), 3 * text.size() + 2);
  return seconds;
}

// Sixteen times the text takes about sixteen times as long, somewhat more where it leaves a cache; a quadratic step
// would make it 256 times. The limit only ends a hang, and what takes less than kShort has no such step.
void expect_linear(size_t bytes) {
  constexpr double kLimit = 10, kShort = 0.02;  // seconds
  for (const Slow& slow : slow_tokenizers()) {
    const Tokenizer t = slow.make();
    for (const std::string& pattern : slow.patterns) {
      const std::string text = repeat(pattern, bytes);
      const size_t part = text.size() / pattern.size() / 16 * pattern.size();
      double once = 0, whole = 0;
      for (int attempt = 0; attempt < 4; ++attempt) {
        once = seconds_of(t, std::string_view(text).substr(0, part));
        whole = seconds_of(t, text);
        ASSERT_LT(whole, kLimit) << slow.name << " " << pattern;
        if (whole < kShort || whole < 64 * once) break;
      }
      EXPECT_TRUE(whole < kShort || whole < 64 * once) << slow.name << " " << pattern << ": " << once << ", " << whole;
    }
  }
}
TEST(TokenizerTime, TwentyThousandLetters) { expect_linear(20'000); }
TEST(SlowTokenizerTime, GrowsLinearlyToAMillionLetters) { expect_linear(1'000'000); }

TEST(TokenizerTime, ATextIsNotBlownUp) {
  Json document = usual("chars");
  document["normalizer"] =
      Json{{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(500, 'b')}};
  const Tokenizer t = from(document);
  EXPECT_TRUE(t.encode("abracadabra").ok());
  const auto ids = t.encode(repeat("a", 1'000'000));
  ASSERT_FALSE(ids.ok());
  EXPECT_NE(ids.error().str().find("normalizing makes more than"), std::string::npos) << ids.error().str();
  // Nor in many small parts.
  EXPECT_FALSE(t.encode(repeat("a<s>", 1'000'000)).ok());
}

TEST(TokenizerTime, ATextThatIsTooLongIsAnError) {
  const Tokenizer t = from(usual("bytes"));
  const size_t size = Tokenizer::kMaxText + 1;
  void* pages = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  const auto ids = t.encode({static_cast<const char*>(pages), size});
  ::munmap(pages, size);
  ASSERT_FALSE(ids.ok());
  EXPECT_NE(ids.error().message.find("2147483648 bytes, at most 2147483647"), std::string::npos) << ids.error().str();
}

}  // namespace
}  // namespace miao::prep

// Tokenizer behaviour that the golden samples do not show: GGUF metadata, control tokens and trust, streams, limits,
// threads.
#include "prep/tokenizer.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "base/check.h"
#include "prep/chat_template.h"
#include "prep/tokenizer_test_support.h"

namespace miao::prep {
namespace {

using Ids = std::vector<int32_t>;

Tokenizer base_tokenizer(const std::string& base) {
  auto made = Tokenizer::from_json(dump_json(test::golden_json("base_" + base + ".json")), "", base);
  EXPECT_TRUE(made.ok()) << made.error().str();
  return *made;
}

std::string random_bytes(uint32_t seed, size_t size) {
  std::mt19937 rng(seed);
  std::string out;
  while (out.size() < size) out += static_cast<char>(rng() % 3 == 0 ? rng() % 256 : 32 + rng() % 95);
  return out;
}

TEST(Tokenizer, GgufEqualsJson) {
  const Json base = test::golden_json("base_bytes.json");
  for (const auto& [golden_name, pre] : std::vector<std::pair<std::string, std::string>>{
           {"gpt2", "gpt-2"},
           {"smollm", "smollm"},
           {"llama3", "dbrx"},
           {"qwen2", "qwen2"},
           {"qwen35", "qwen35"},
           {"o200k", "gpt-4o"},
           {"deepseek3", "deepseek-v3"},
           {"deepseek_coder", "deepseek-coder"},
           {"falcon", "falcon"},
           {"bloom", "bloom"},
           {"seed", "seed-coder"},
       }) {
    const Json golden = test::golden_json(golden_name + ".json");
    auto json = Tokenizer::from_json(dump_json(test::patched_base(golden)), "", golden_name);
    ASSERT_TRUE(json.ok()) << json.error().str();
    test::GgufVocab vocab = test::gguf_of(base);
    vocab.pre = pre;
    auto gguf = Tokenizer::from_gguf(vocab.meta());
    ASSERT_TRUE(gguf.ok()) << gguf.error().str();
    EXPECT_EQ(gguf->kind(), "byte-level BPE");
    EXPECT_EQ(gguf->vocab_size(), json->vocab_size());
    for (const Json& row : golden["cases"]) {
      if (!row.contains("text")) continue;
      const auto text = row["text"].get<std::string>();
      EXPECT_EQ(*gguf->encode(text, {.add_special = false}), *json->encode(text, {.add_special = false}))
          << pre << ": " << text;
      const auto ids = row["ids"].get<Ids>();
      EXPECT_EQ(gguf->decode(ids), json->decode(ids));
    }
  }
}

TEST(Tokenizer, ByteLevelRoundTrips) {
  const Tokenizer t = base_tokenizer("bytes");
  for (uint32_t seed = 0; seed < 200; ++seed) {
    const std::string text = random_bytes(seed, 1 + seed % 90);
    const Ids ids = *t.encode(text);
    const std::string back = t.decode(ids, false);
    EXPECT_TRUE(test::is_valid_utf8(back));
    EXPECT_EQ(*t.encode(back), ids);  // `back` is `text` with U+FFFD for what was broken
    if (test::is_valid_utf8(text)) {
      EXPECT_EQ(back, text);
    }
  }
}

TEST(Tokenizer, LooksUpPiecesAndSpecials) {
  const Tokenizer t = base_tokenizer("bytes");
  EXPECT_EQ(t.piece_to_id("<|end|>"), 0);
  EXPECT_EQ(t.id_to_piece(1), "<|im_start|>");
  EXPECT_EQ(t.piece_to_id("no such piece"), std::nullopt);
  EXPECT_EQ(t.id_to_piece(-1), "");
  EXPECT_EQ(t.id_to_piece(t.vocab_size()), "");
  EXPECT_TRUE(t.is_special(0));
  EXPECT_FALSE(t.is_special(5));
  EXPECT_FALSE(t.is_special(-7));
  EXPECT_EQ(Ids(t.eog_ids().begin(), t.eog_ids().end()), Ids{0});
  EXPECT_TRUE(t.is_eog(0));
  EXPECT_FALSE(t.is_eog(1));
  for (int32_t id = 0; id < t.vocab_size(); ++id) EXPECT_EQ(t.piece_to_id(t.id_to_piece(id)), id);
}

TEST(Tokenizer, ControlTokensNeedPermission) {
  const Tokenizer t = base_tokenizer("bytes");
  const Ids with = *t.encode("a<|end|>b");
  EXPECT_EQ(std::count(with.begin(), with.end(), 0), 1);
  const Ids without = *t.encode("a<|end|>b", {.parse_special = false});
  EXPECT_EQ(std::count(without.begin(), without.end(), 0), 0);
  EXPECT_EQ(t.decode(without), "a<|end|>b");
  EXPECT_EQ(t.decode(with), "ab");
  EXPECT_EQ(t.decode(with, false), "a<|end|>b");
}

TEST(Tokenizer, ControlTokensOnlyInTrustedSegments) {
  const Tokenizer t = base_tokenizer("bytes");
  const std::string text = "<|end|>user<|end|>x<|end|>";
  const auto count = [&](std::vector<Segment> segments) {
    const Ids ids = *t.encode(text, segments, true);
    EXPECT_EQ(t.decode(ids, false), text);
    return std::count(ids.begin(), ids.end(), 0);
  };
  const size_t n = text.size();
  EXPECT_EQ(count({{0, n, true}}), 3);
  EXPECT_EQ(count({{0, n, false}}), 0);
  EXPECT_EQ(count({{0, 7, true}, {7, n - 7, false}, {n - 7, n, true}}), 2);
  EXPECT_EQ(count({{0, 6, true}, {6, n - 7, false}, {n - 7, n, true}}), 1);  // the first token is half trusted
  EXPECT_EQ(count({{0, 4, true}, {4, 7, true}, {7, n, false}}), 1);          // neighbours count as one
  // Ordinary text is the same whatever the segments are.
  EXPECT_EQ(*t.encode("hello world", std::vector<Segment>{{0, 3, true}, {3, 11, false}}, true),
            *t.encode("hello world"));
}

TEST(Tokenizer, TrustIsNotShiftedByBrokenText) {
  const Tokenizer t = base_tokenizer("bytes");
  const std::string text = "\xFF\xFE\x80<|end|>\xC3";
  const std::vector<Segment> segments = {{0, 3, false}, {3, 10, true}, {10, 11, false}};
  const Ids ids = *t.encode(text, segments, true);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 0), 1);
  const std::vector<Segment> swapped = {{0, 3, true}, {3, 10, false}, {10, 11, true}};
  const Ids none = *t.encode(text, swapped, true);
  EXPECT_EQ(std::count(none.begin(), none.end(), 0), 0);
}

TEST(Tokenizer, EmptyTextIsItsEnds) {
  const Json golden = test::golden_json("bert.json");
  auto t = Tokenizer::from_json(dump_json(test::patched_base(golden)), "", "bert");
  ASSERT_TRUE(t.ok());
  EXPECT_EQ(*t->encode(""), (Ids{2, 3}));
  EXPECT_EQ(*t->encode("", {.add_special = false}), Ids{});
  EXPECT_EQ(t->decode({}), "");
  EXPECT_EQ(t->kind(), "WordPiece");
  EXPECT_EQ(t->unk_id(), 1);
}

TEST(Tokenizer, ReadsTheConfig) {
  const std::string json = dump_json(test::golden_json("base_bytes.json"));
  const std::string config = R"({"bos_token": "<|im_start|>", "eos_token": {"content": "<|end|>"}, "pad_token": null,
      "added_tokens_decoder": {"0": {"content": "<|end|>", "special": true},
                               "1500": {"content": "<extra>", "special": true}}})";
  auto t = Tokenizer::from_json(json, config, "t");
  ASSERT_TRUE(t.ok()) << t.error().str();
  EXPECT_EQ(t->bos_id(), 1);
  EXPECT_EQ(t->eos_id(), 0);
  EXPECT_EQ(t->pad_id(), std::nullopt);
  EXPECT_EQ(*t->encode("<extra>"), Ids{1500});
  EXPECT_EQ(t->vocab_size(), 1501);
  EXPECT_EQ(t->id_to_piece(1450), "");  // a hole
}

// U+11A7 stands before the trailing jamo but is none: nothing composes with it.
TEST(Tokenizer, NormalFormsKeepTheLetterBeforeTrailingJamo) {
  Json document = test::golden_json("base_bytes.json");
  document["normalizer"] = Json{{"type", "NFC"}};
  const auto t = Tokenizer::from_json(dump_json(document), "", "nfc");
  ASSERT_TRUE(t.ok());
  EXPECT_EQ(t->decode(*t->encode("\u1100\u1161\u11a7a")), "\uac00\u11a7a");
  EXPECT_EQ(t->decode(*t->encode("\u1100\u1161\u11a8a")), "\uac01a");
}

TEST(StreamDecoder, NeverSplitsACodePoint) {
  const Tokenizer t = base_tokenizer("bytes");
  const std::string text = "caf\u00e9 \u4f60\u597d \U0001F600!";
  StreamDecoder stream(t);
  std::string all;
  for (int32_t id : *t.encode(text)) {
    const std::string part = stream.push(id);
    EXPECT_TRUE(test::is_valid_utf8(part));
    all += part;
  }
  EXPECT_EQ(all + stream.flush(), text);
}

TEST(StreamDecoder, FlushShowsWhatIsBroken) {
  const Tokenizer t = base_tokenizer("bytes");
  const Ids euro = *t.encode("\u20ac");
  if (euro.size() < 2) GTEST_SKIP() << "the vocabulary has the character whole";
  StreamDecoder stream(t);
  EXPECT_EQ(stream.push(euro[0]), "");
  EXPECT_EQ(stream.flush(), "\uFFFD");
  EXPECT_EQ(stream.flush(), "");
  std::string text;
  for (int32_t id : euro) text += stream.push(id);  // usable again
  EXPECT_EQ(text, "\u20ac");
}

TEST(StreamDecoder, SkipsSpecialsAndStrangers) {
  const Tokenizer t = base_tokenizer("bytes");
  StreamDecoder quiet(t), loud(t, false);
  EXPECT_EQ(quiet.push(0), "");
  EXPECT_EQ(loud.push(0), "<|end|>");
  EXPECT_EQ(quiet.push(-1), "");
  EXPECT_EQ(quiet.push(1 << 30), "");
}

TEST(Tokenizer, SentencePieceFromGguf) {
  test::GgufVocab v;
  v.model = "llama";
  v.pre.clear();
  v.tokens = {"<unk>", "<s>", "</s>"};
  v.types = {2, 3, 3};
  for (int b = 0; b < 256; ++b) {
    char name[8];
    snprintf(name, sizeof name, "<0x%02X>", b);
    v.tokens.push_back(name);
    v.types.push_back(6);
  }
  for (const char* piece : {"\u2581", "h", "e", "l", "o", "he", "ll", "\u2581he", "llo", "\u2581hello"}) {
    v.tokens.push_back(piece);
    v.types.push_back(1);
  }
  for (size_t i = 0; i < v.tokens.size(); ++i) v.scores.push_back(-static_cast<double>(i));
  auto t = Tokenizer::from_gguf(v.meta());
  ASSERT_TRUE(t.ok()) << t.error().str();
  EXPECT_EQ(t->kind(), "SentencePiece BPE");
  EXPECT_EQ(*t->encode("hello"), (Ids{1, *t->piece_to_id("\u2581hello")}));
  EXPECT_EQ(*t->encode("hello hello"), (Ids{1, *t->piece_to_id("\u2581hello"), *t->piece_to_id("\u2581hello")}));
  EXPECT_EQ(t->decode(*t->encode("hello  hello")), "hello  hello");
  EXPECT_EQ(*t->encode("\u00e9", {.add_special = false}), (Ids{*t->piece_to_id("\u2581"), 3 + 0xC3, 3 + 0xA9}));
  EXPECT_EQ(t->decode(*t->encode("\u00e9")), "\u00e9");
  EXPECT_EQ(t->eos_id(), 2);
  // A control token cannot be spelled, and takes no blank with it.
  EXPECT_EQ(*t->encode("</s>hello", {.add_special = false}), (Ids{2, *t->piece_to_id("\u2581hello")}));
  // "<0x41>" as text is seven characters, not the byte token.
  for (int32_t id : *t->encode("<0x41>", {.add_special = false})) EXPECT_NE(id, 3 + 0x41);
}

TEST(Tokenizer, UnigramFromGguf) {
  test::GgufVocab v;
  v.model = "t5";
  v.tokens = {"<pad>", "</s>", "<unk>", "\u2581", "a", "b", "ab", "\u2581a"};
  v.types = {3, 3, 2, 1, 1, 1, 1, 1};
  v.scores = {0, 0, 0, -2, -3, -3, -4, -3};
  auto t = Tokenizer::from_gguf(v.meta());
  ASSERT_TRUE(t.ok()) << t.error().str();
  EXPECT_EQ(t->kind(), "Unigram");
  EXPECT_EQ(*t->encode("  ab   a "), (Ids{3, 6, 7, 1}));  // -2-4 against -3-3: the path found first stays
  EXPECT_EQ(*t->encode("zz"), (Ids{3, 2, 1}));
  EXPECT_EQ(t->decode(Ids{7, 5, 1}), "ab");
}

TEST(Tokenizer, WordPieceFromGguf) {
  test::GgufVocab v;
  v.model = "bert";
  v.tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "\u2581play", "ing", "\u2581,"};
  v.types = {3, 3, 3, 3, 1, 1, 1};
  KeyValues kv = v.meta();
  kv.set("tokenizer.ggml.unknown_token_id", int64_t{1});
  kv.set("tokenizer.ggml.cls_token_id", int64_t{2});
  kv.set("tokenizer.ggml.seperator_token_id", int64_t{3});
  auto t = Tokenizer::from_gguf(kv);
  ASSERT_TRUE(t.ok()) << t.error().str();
  EXPECT_EQ(*t->encode("Playing, xyz"), (Ids{2, 4, 5, 6, 1, 3}));
  EXPECT_EQ(t->decode(Ids{2, 4, 5, 6, 3}), "playing,");
  EXPECT_EQ(t->id_to_piece(5), "##ing");
}

TEST(Tokenizer, ManyThreadsShareOne) {
  const Tokenizer t = base_tokenizer("bytes");
  const Tokenizer other = base_tokenizer("chars");
  const std::string text = "the quick brown fox 123 " + random_bytes(7, 400);
  const Ids want = *t.encode(text), want_other = *other.encode(text);
  std::vector<std::thread> threads;
  std::array<bool, 4> same{};
  for (size_t i = 0; i < same.size(); ++i) {
    threads.emplace_back([&, i] {
      bool ok = true;
      for (int n = 0; n < 50; ++n) ok = ok && *t.encode(text) == want && *other.encode(text) == want_other;
      same[i] = ok;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (bool ok : same) EXPECT_TRUE(ok);
}

}  // namespace
}  // namespace miao::prep

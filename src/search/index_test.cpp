#include "search/index.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <thread>

#include "base/env.h"
#include "base/file.h"
#include "base/log.h"
#include "io/testing.h"
#include "runtime/embed.h"
#include "search/testing.h"

namespace miao::search {
namespace {

namespace fs = std::filesystem;
using runtime::Encoder;

std::string warnings;

class IndexTest : public testing::Test {
 protected:
  IndexTest() {
    warnings.clear();
    set_log_sink([](LogLevel level, std::string_view line) {
      if (level >= LogLevel::warn) warnings += std::string(line) + "\n";
    });
    put_encoder(dir_ / "model");
    encoder_ = open_encoder("model");
    options_.file = dir_ / "i.miaoindex";
  }
  ~IndexTest() override { set_log_sink(nullptr); }

  std::unique_ptr<Encoder> open_encoder(const std::string& name) {
    auto encoder = Encoder::open(dir_ / name, {.threads = 1});
    EXPECT_TRUE(encoder.ok()) << encoder.error().str();
    return std::move(*encoder);
  }
  Result<Index> open(const std::string& text, const std::string& name = "a.txt") {
    std::vector<Source> sources;
    sources.push_back(*make_source(name, text));
    return Index::open(*encoder_, std::move(sources), options_);
  }
  std::vector<Found> find(const Index& index, const std::string& query, size_t count = 3,
                          Method method = Method::exact) {
    const auto vector = runtime::embed(*encoder_, {&query, 1});
    EXPECT_TRUE(vector.ok());
    const auto found = index.find(*vector, count, method);
    EXPECT_TRUE(found.ok());
    return *found;
  }
  // "cat 0\ncat 1\n..."
  static std::string lines(int begin, int end) {
    std::string out;
    for (int i = begin; i < end; ++i) out += "cat " + std::to_string(i) + "\n";
    return out;
  }

  io::TempDir dir_;
  std::unique_ptr<Encoder> encoder_;
  IndexOptions options_;
};

TEST_F(IndexTest, FindsTheSameTextFirst) {
  auto index = open("a dog\n\na cat sat\ndog dog\n");
  ASSERT_TRUE(index.ok()) << index.error().str();
  EXPECT_EQ(index->report().passages, 3u);
  EXPECT_EQ(index->report().embedded, 3u);
  EXPECT_FALSE(index->approximate());
  const auto found = find(*index, "a cat sat", 2);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].text, "a cat sat");
  EXPECT_EQ(found[0].line, 3u);
  EXPECT_EQ(found[0].source, "a.txt");
  EXPECT_NEAR(found[0].score, 1, 1e-5);
  EXPECT_LT(found[1].score, 1);
  EXPECT_EQ(find(*index, "dog", 100).size(), 3u);
}

TEST_F(IndexTest, OnlyWhatIsNewIsEmbedded) {
  ASSERT_EQ(open(lines(0, 10))->report().embedded, 10u);
  const std::string before = *read_file(options_.file);
  ASSERT_EQ(open(lines(0, 10))->report().embedded, 0u);
  EXPECT_EQ(open(lines(0, 10), "renamed.txt")->report().embedded, 0u);
  EXPECT_EQ(*read_file(options_.file), before);
  auto changed = open("dog\n" + lines(3, 12));
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(changed->report().embedded, 3u);
  EXPECT_EQ(find(*changed, "cat 11")[0].line, 10u);
  auto store = Store::load(options_.file, *Index::key(*encoder_), 48);
  ASSERT_TRUE(store.ok());
  EXPECT_EQ(store->vectors.rows(), 10);  // cat 0 to cat 2 are gone
  options_.passage = 30;                 // split anew; the same texts come out
  EXPECT_EQ(open("dog\n" + lines(3, 12))->report().embedded, 0u);
}

TEST_F(IndexTest, EqualTextsAreEmbeddedOnceAndFoundEach) {
  auto index = open("cat\ndog\ncat\n");
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->report().passages, 3u);
  EXPECT_EQ(index->report().embedded, 2u);
  const auto found = find(*index, "cat", 2);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].line, 1u);
  EXPECT_EQ(found[1].line, 3u);
}

TEST_F(IndexTest, LongDocumentsAreFoundOnceAndByTheirPart) {
  options_.passage = 16;
  std::string text = "dog dog dog dog.\n";
  for (int i = 10; i < 40; ++i) text += "a cat sat " + std::to_string(i) + ".\n";
  auto index = open(text + "\nsat sat", "a.md");
  ASSERT_TRUE(index.ok()) << index.error().str();
  EXPECT_GT(index->report().passages, 10u);
  const auto found = find(*index, "a cat sat 30. a cat sat 31.", 10);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_NE(found[0].text.find("cat sat 3"), std::string::npos);
  EXPECT_GT(found[0].line, 15u);
  EXPECT_LE(found[0].text.size(), 60u);
}

TEST_F(IndexTest, JsonLines) {
  auto index = open("{\"text\":\"a cat\",\"id\":1}\n{\"id\":2,\"text\":\"a dog\"}\n", "a.jsonl");
  ASSERT_TRUE(index.ok()) << index.error().str();
  const auto found = find(*index, "a dog", 1);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].text, "a dog");
  EXPECT_EQ(found[0].fields, "{\"id\":2}");
  EXPECT_EQ(found[0].line, 2u);
}

TEST_F(IndexTest, ADamagedIndexIsMadeAnew) {
  ASSERT_TRUE(open(lines(0, 5)).ok());
  const std::string whole = *read_file(options_.file);
  for (const size_t at : {size_t{0}, size_t{9}, size_t{30}, size_t{100}, whole.size() - 1}) {
    std::string file = whole;
    file[at] = static_cast<char>(file[at] ^ 1);
    ASSERT_TRUE(write_file_atomic(options_.file, file).ok());
    warnings.clear();
    auto index = open(lines(0, 5));
    ASSERT_TRUE(index.ok()) << at << index.error().str();
    EXPECT_EQ(index->report().embedded, 5u) << at;
    EXPECT_NE(warnings.find("the search index is damaged; it is made anew"), std::string::npos) << warnings;
    EXPECT_EQ(*read_file(options_.file), whole);
  }
  ASSERT_TRUE(write_file_atomic(options_.file, "").ok());
  EXPECT_TRUE(open(lines(0, 5)).ok());
}

// Checksums that are right over a table that is not.
TEST_F(IndexTest, ATableThatContradictsItselfIsMadeAnew) {
  ASSERT_TRUE(open(lines(0, 3)).ok());
  auto loaded = VectorIndex::load(options_.file);
  ASSERT_TRUE(loaded.ok());
  const std::string table = loaded->extra;
  const size_t rows = 32, sources = rows + 8 + 3 * 8, passages = sources + 24;
  const auto with = [&](size_t at, uint64_t value, size_t bytes) {
    std::string out = table;
    return out.replace(at, bytes, io::le_bytes(value).substr(0, bytes));
  };
  for (const std::string& bad :
       {with(rows, 2, 8), with(rows, UINT64_MAX, 8), with(sources, UINT64_MAX, 8), with(passages, UINT64_MAX / 24, 8),
        with(passages + 8, 99, 4), with(passages + 8 + 20, 3, 4), table + "x", table.substr(0, 20), std::string()}) {
    ASSERT_TRUE(loaded->index.save(options_.file, bad).ok());
    auto index = open(lines(0, 3));
    ASSERT_TRUE(index.ok());
    EXPECT_EQ(index->report().embedded, 3u);
  }
  // Offsets behind the end of the source: split again.
  ASSERT_TRUE(loaded->index.save(options_.file, with(passages + 8 + 4, 1000, 4)).ok());
  auto index = open(lines(0, 3));
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(find(*index, "cat 0")[0].text, "cat 0");
}

TEST_F(IndexTest, NothingElseIsOverwritten) {
  options_.file = dir_ / "notes.txt";
  ASSERT_TRUE(write_file_atomic(options_.file, "my notes").ok());
  auto refused = open("cat");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().str().find("is not a search index; name another file"), std::string::npos)
      << refused.error().str();
  EXPECT_EQ(*read_file(options_.file), "my notes");
  for (const char* path : {".", "/dev/null", "none/i"}) {
    options_.file = dir_ / path;
    EXPECT_FALSE(open("cat").ok()) << path;
  }
}

TEST_F(IndexTest, AnotherModelOrPromptNeedsAnIndexOfItsOwn) {
  ASSERT_TRUE(open("cat").ok());
  options_.prompt = "query: ";
  auto refused = open("cat");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().str().find("is the index of another model, or of other settings"), std::string::npos);
  options_.prompt.reset();
  put_encoder(dir_ / "other", "electra");
  encoder_ = open_encoder("other");
  EXPECT_FALSE(open("cat").ok());
  encoder_ = open_encoder("model");
  EXPECT_EQ(open("cat")->report().embedded, 0u);
}

TEST_F(IndexTest, PromptsOfTheTwoSides) {
  put_encoder(dir_ / "model", "bert",
              R"({"prompts":{"query":"query: ","passage":"a "},"default_prompt_name":"query"})");
  encoder_ = open_encoder("model");
  EXPECT_EQ(query_prompt(*encoder_), "query: ");
  EXPECT_EQ(document_prompt(*encoder_), "a ");
  auto index = open("cat");
  ASSERT_TRUE(index.ok());
  const std::string same = "a cat";
  const auto vector = runtime::embed(*encoder_, {&same, 1}, {.prompt = ""});
  EXPECT_NEAR((*index->find(*vector, 1, Method::exact))[0].score, 1, 1e-5);
}

TEST_F(IndexTest, WhatAnInterruptedCallEmbeddedIsKept) {
  std::atomic<bool> cancel{false};
  options_.cancel = &cancel;
  options_.progress = [&](const char*, uint64_t done, uint64_t) { cancel = done > 0; };
  auto stopped = open(lines(0, 200));
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, Code::cancelled);
  EXPECT_NE(stopped.error().message.find("64 of 200 new passages are kept"), std::string::npos)
      << stopped.error().message;
  cancel = false;
  options_.progress = nullptr;
  auto index = open(lines(0, 200));
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->report().embedded, 136u);
  const std::string resumed = *read_file(options_.file);
  options_.file = dir_ / "whole.miaoindex";
  ASSERT_TRUE(open(lines(0, 200)).ok());
  EXPECT_TRUE(*read_file(options_.file) == resumed);
}

TEST_F(IndexTest, WhatWasEmbeddedIsSavedFromTimeToTime) {
  options_.save_seconds = 0;
  int64_t seen = 0;
  options_.progress = [&](const char*, uint64_t done, uint64_t) {
    if (done == 0 || seen > 0) return;
    auto store = Store::load(options_.file, *Index::key(*encoder_), 48);
    if (store.ok()) seen = store->vectors.rows();
  };
  ASSERT_TRUE(open(lines(0, 200)).ok());
  EXPECT_EQ(seen, 64);
}

TEST_F(IndexTest, ADiskThatIsFullTakesNothingFromTheAnswer) {
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small{1000, old.rlim_max};
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  auto index = open(lines(0, 20));
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, handler);
  ASSERT_TRUE(index.ok()) << index.error().str();
  EXPECT_EQ(find(*index, "cat 7")[0].line, 8u);
  EXPECT_NE(warnings.find("the search index is not kept"), std::string::npos) << warnings;
  int files = 0;
  for (const auto& entry : std::vector<fs::directory_entry>(fs::directory_iterator(dir_.path()), {})) {
    files += entry.is_regular_file();
  }
  EXPECT_EQ(files, 0);  // nor is half of it left
}

TEST_F(IndexTest, LargeSetsAreSearchedByTheGraph) {
  options_.exact_rows = 50;
  auto index = open(lines(0, 100));
  ASSERT_TRUE(index.ok());
  EXPECT_TRUE(index->approximate());
  // The tiny model takes some lines for all but equal, so the one that is meant need not be the first.
  const auto among = [&](const Index& where, const std::string& query, size_t line) {
    const auto found = find(where, query, 5, Method::approximate);
    return std::any_of(found.begin(), found.end(), [&](const Found& f) { return f.line == line; });
  };
  EXPECT_TRUE(among(*index, "cat 77", 78));
  // A few lines go and come: the graph stays, and what is gone is not found.
  auto changed = open(lines(5, 110));
  ASSERT_TRUE(changed.ok());
  EXPECT_TRUE(changed->approximate());
  EXPECT_EQ(changed->report().embedded, 10u);
  EXPECT_TRUE(among(*changed, "cat 109", 105));
  EXPECT_EQ(find(*changed, "cat 3", 200, Method::approximate).size(), 105u);
  // Most go: the graph is made anew without them.
  auto rest = open(lines(50, 110));
  ASSERT_TRUE(rest.ok());
  EXPECT_TRUE(rest->approximate());
  EXPECT_EQ(rest->report().embedded, 0u);
  auto store = Store::load(options_.file, *Index::key(*encoder_), 48);
  ASSERT_TRUE(store.ok());
  EXPECT_EQ(store->vectors.rows(), 60);
  EXPECT_EQ(open(lines(50, 110))->report().embedded, 0u);
}

TEST_F(IndexTest, TwoAtOnceLeaveASoundFile) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      const auto encoder = open_encoder("model");
      for (int n = 0; n < 4; ++n) {
        std::vector<Source> sources;
        sources.push_back(*make_source("a.txt", lines(0, 20 + 20 * (i ^ (n & 1)))));
        EXPECT_TRUE(Index::open(*encoder, std::move(sources), {.file = options_.file}).ok());
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(warnings, "");
  EXPECT_TRUE(VectorIndex::load(options_.file).ok());
}

TEST_F(IndexTest, DocumentsWithoutText) {
  for (const char* text : {"", "\n \n"}) {
    auto index = open(text);
    ASSERT_FALSE(index.ok());
    EXPECT_EQ(index.error().message, "the documents hold no text");
  }
  options_.prompt = "a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a";
  options_.passage = 20;
  auto index = open("cat");
  ASSERT_FALSE(index.ok());
  EXPECT_NE(index.error().message.find("leave no room beside the prompt"), std::string::npos) << index.error().message;
}

TEST_F(IndexTest, AClassifierIsRefused) {
  put_encoder(dir_ / "classes", "bert-sequence");
  encoder_ = open_encoder("classes");
  auto index = open("cat");
  ASSERT_FALSE(index.ok());
  EXPECT_EQ(index.error().code, Code::unsupported);
}

// all-MiniLM-L6-v2 in the directory that MIAO_TEST_MODELS names.
TEST(SlowRealIndex, FindsByMeaning) {
  const auto models = env("MIAO_TEST_MODELS");
  if (!models) GTEST_SKIP() << "MIAO_TEST_MODELS is not set";
  const fs::path path = fs::path(*models) / "all-MiniLM-L6-v2";
  if (!fs::exists(path)) GTEST_SKIP() << path << " does not exist";
  auto encoder = Encoder::open(path);
  ASSERT_TRUE(encoder.ok()) << encoder.error().str();
  std::vector<Source> sources;
  sources.push_back(*make_source("a.txt",
                                 "The bakery opens at seven and sells bread and rolls.\n"
                                 "Photosynthesis turns light, water and carbon dioxide into sugar.\n"
                                 "Interest rates were raised by the central bank again.\n"
                                 "To reset the router, hold its button for ten seconds.\n"
                                 "The goalkeeper saved two penalties in the final.\n"
                                 "Mozart wrote his last symphony in the summer of 1788.\n"));
  auto index = Index::open(**encoder, std::move(sources), {});
  ASSERT_TRUE(index.ok()) << index.error().str();
  const std::string queries[] = {"where can I buy breakfast",
                                 "how do plants get energy",
                                 "cost of borrowing money",
                                 "my wifi does not work",
                                 "football",
                                 "classical music"};
  const auto vectors = runtime::embed(**encoder, queries);
  ASSERT_TRUE(vectors.ok());
  for (size_t i = 0; i < 6; ++i) {
    const auto found = index->find(std::span(*vectors).subspan(i * 384, 384), 1, Method::exact);
    ASSERT_TRUE(found.ok());
    EXPECT_EQ((*found)[0].line, i + 1) << queries[i];
  }
}

}  // namespace
}  // namespace miao::search

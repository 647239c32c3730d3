// miao search: from the command line to the ranked list.
#include <sys/wait.h>

#include <chrono>
#include <thread>

#include "base/json.h"
#include "cli/testing.h"
#include "search/testing.h"

namespace miao::cli {
namespace {

class SearchCli : public Cli {
 protected:
  std::string encoder() {
    search::put_encoder(dir_ / "bert");
    return (dir_ / "bert").string();
  }
  std::string notes() { return put("notes.txt", "a dog\na cat sat\ndog dog\n").string(); }
  size_t indexes() const {
    size_t count = 0;
    std::error_code error;
    for (fs::directory_iterator it(dir_ / "cache" / "search", error), end; !error && it != end; it.increment(error)) {
      ++count;
    }
    return count;
  }
};

TEST_F(SearchCli, ShowsTheBestFirstAndKeepsTheIndex) {
  const std::string model = encoder(), docs = notes();
  const Outcome first = run({"search", model, "--docs", docs, "a cat sat", "-k", "2"});
  ASSERT_EQ(first.code, kOk) << first.err;
  EXPECT_NE(first.out.find("1  1.000  " + docs + ":2  a cat sat\n"), std::string::npos) << first.out;
  EXPECT_EQ(std::count(first.out.begin(), first.out.end(), '\n'), 3);
  EXPECT_NE(first.err.find("3 passages, 3 embedded now"), std::string::npos) << first.err;
  EXPECT_NE(first.err.find("2 of 3 passages, exact search"), std::string::npos) << first.err;
  EXPECT_EQ(indexes(), 1u);
  const Outcome second = run({"search", model, "--docs", docs, "a cat sat", "-k", "2", "-q"});
  EXPECT_EQ(second.out, first.out);
  EXPECT_EQ(second.err, "");
  put("notes.txt", "a dog\na cat sat\nsat\n");
  const Outcome changed = run({"search", model, "--docs", docs, "sat"});
  EXPECT_NE(changed.err.find("3 passages, 1 embedded now"), std::string::npos) << changed.err;
  EXPECT_EQ(indexes(), 1u);
  EXPECT_EQ(run({"search", model, "--docs", docs, "sat", "--no-index"}).out, changed.out);
}

TEST_F(SearchCli, IndexesAreListedAndDeleted) {
  ASSERT_EQ(run({"search", encoder(), "--docs", notes(), "a cat", "-q"}).code, kOk);
  EXPECT_NE(run({"ls"}).err.find("miao rm --indexes deletes them"), std::string::npos);
  EXPECT_EQ(run({"rm", "--indexes", "--yes", "-q"}).code, kOk);
  EXPECT_EQ(indexes(), 0u);
}

TEST_F(SearchCli, JsonOfEachQueryOfStandardInput) {
  const std::string model = encoder();
  const std::string docs = put("d.jsonl", "{\"body\":\"a dog\",\"id\":1}\n{\"body\":\"a cat\",\"id\":2}\n").string();
  const Outcome outcome =
      run({"search", model, "-d", docs, "--field", "body", "--json", "-k1", "-q"}, "a cat\n\na dog\r\n");
  ASSERT_EQ(outcome.code, kOk) << outcome.err;
  ASSERT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2);
  const auto line = parse_json(outcome.out.substr(0, outcome.out.find('\n')), "line 1");
  ASSERT_TRUE(line.ok());
  EXPECT_EQ((*line)["query"], "a cat");
  EXPECT_EQ((*line)["method"], "exact");
  EXPECT_EQ((*line)["hits"][0]["fields"]["id"], 2);
  EXPECT_EQ((*line)["hits"][0]["line"], 2);
  const Outcome table = run({"search", model, "-d", docs, "--field", "body", "-k1", "-q", "a cat"});
  EXPECT_NE(table.out.find("{\"id\":2}  a cat"), std::string::npos) << table.out;
}

TEST_F(SearchCli, DocumentsOfStandardInputAndOfFolders) {
  const std::string model = encoder();
  const Outcome piped = run({"search", model, "--docs", "-", "a cat", "-k1", "-q"}, "a dog\na cat\n");
  EXPECT_NE(piped.out.find("stdin:2"), std::string::npos) << piped.out << piped.err;
  put("docs/a.md", "# dog\n\na\ndog\n");
  put("docs/b.txt", "a cat");
  const Outcome folder = run({"search", model, "--docs", (dir_ / "docs").string(), "dog a dog", "-q"});
  EXPECT_NE(folder.out.find("docs/a.md:1   # dog a dog"), std::string::npos) << folder.out << folder.err;
}

TEST_F(SearchCli, WithoutAQueryTheIndexIsMade) {
  const Outcome outcome = run({"search", encoder(), "--docs", notes(), "--index", (dir_ / "own").string()});
  EXPECT_EQ(outcome.code, kOk) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(fs::exists(dir_ / "own"));
  EXPECT_EQ(indexes(), 0u);
}

TEST_F(SearchCli, WhatIsWrongIsOneLine) {
  const std::string model = encoder(), docs = notes();
  std::string words;
  for (int i = 0; i < 80; ++i) words += "cat ";
  const struct {
    std::vector<std::string> arguments;
    int code;
    std::string words;
  } cases[] = {
      {{"search", model, "cat"}, kUsage, "--docs is required"},
      {{"search", model, "-d", docs, " "}, kUsage, "a query is empty"},
      {{"search", model, "-d", "-"}, kUsage, "give the queries as arguments"},
      {{"search", model, "-d", docs, "x", "-k", "0"}, kUsage, "--top"},
      {{"search", model, "-d", docs, "x", "--index", "a", "--no-index"}, kUsage, "excludes"},
      {{"search", model, "-d", docs, "x", "--index", docs}, kFailed, "notes.txt: is not a search index"},
      {{"search", model, "-d", (dir_ / "none").string(), "x"}, kFailed, "none: cannot read: No such file"},
      {{"search", model, "-d", put("empty", "").string(), "x"}, kFailed, "the documents hold no text"},
      {{"search", model, "-d", put("b", std::string("a\0", 2)).string(), "x"}, kFailed, "b: is binary"},
      {{"search", model, "-d", put("c.jsonl", "{}").string(), "x"}, kFailed, "c.jsonl:1: has no field 'text'"},
      {{"search", this->model(), "-d", docs, "x"}, kFailed, "this model writes text; search takes one for sentence"},
      {{"search", model, "-d", docs, words, "x"}, kFailed, "query 'cat cat cat cat cat cat cat cat cat c...': it has"},
  };
  for (const auto& c : cases) {
    const Outcome outcome = run(c.arguments);
    EXPECT_EQ(outcome.code, c.code) << c.words << outcome.err;
    EXPECT_NE(outcome.err.find(c.words), std::string::npos) << c.words << "\n" << outcome.err;
  }
}

TEST_F(SearchCli, ControlCharactersDoNotReachTheTable) {
  const std::string docs = put("d.txt", "a cat \x1b[2J\x07 \xff sat").string();
  const Outcome outcome = run({"search", encoder(), "-d", docs, "cat"});
  EXPECT_NE(outcome.out.find("a cat \\x1b[2J\\x07 \\xff sat"), std::string::npos) << outcome.out << outcome.err;
  EXPECT_NE(outcome.err.find("d.txt:1: is not UTF-8"), std::string::npos) << outcome.err;
}

TEST_F(SearchCli, AnInterruptedCallGoesOnWhereItWas) {
  std::string text;
  for (int i = 0; i < 300000; ++i) text += "a cat sat " + std::to_string(i) + "\n";
  const std::string model = encoder(), docs = put("many.txt", text).string();
  const std::string index = (dir_ / "i.miaoindex").string();
  put("stdin", "");
  const pid_t pid = start({"search", model, "-d", docs, "cat", "--index", index}, dir_ / "stdin", dir_ / "stdout");
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  ::kill(pid, SIGINT);
  EXPECT_EQ(wait(pid), kInterrupted);
  EXPECT_NE(get("stderr").find("interrupted"), std::string::npos) << get("stderr");
  EXPECT_TRUE(!fs::exists(index) || get("i.miaoindex").starts_with("miaoindx"));
}

}  // namespace
}  // namespace miao::cli

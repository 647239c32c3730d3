#include "search/documents.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "io/testing.h"

namespace miao::search {
namespace {

namespace fs = std::filesystem;

std::string warnings;

class Documents : public testing::Test {
 protected:
  Documents() {
    warnings.clear();
    set_log_sink([](LogLevel, std::string_view line) { warnings += std::string(line) + "\n"; });
  }
  ~Documents() override { set_log_sink(nullptr); }

  std::string put(const std::string& name, std::string_view text) {
    fs::create_directories((dir_ / name).parent_path());
    EXPECT_TRUE(write_file_atomic(dir_ / name, text).ok());
    return (dir_ / name).string();
  }
  Result<std::vector<Source>> read(const std::string& path, const ReadOptions& options = {}) {
    return read_sources({&path, 1}, options);
  }
  // "line:text|" of each document.
  static std::string shown(const Source& source) {
    std::string out;
    for (const Document& document : find_documents(source)) {
      const auto text = text_of(source, document);
      out += std::to_string(document.line) + ":" + (text.ok() ? *text : text.error().str()) + "|";
    }
    return out;
  }
  std::string shown_of(const std::string& name, std::string_view text, const ReadOptions& options = {}) {
    auto sources = read(put(name, text), options);
    return sources.ok() ? shown((*sources)[0]) : sources.error().str();
  }

  io::TempDir dir_;
};

TEST_F(Documents, Lines) {
  EXPECT_EQ(shown_of("a.txt", "\xef\xbb\xbfone\r\n\n  \ntwo"), "1:one\r|4:two|");
  EXPECT_EQ(shown_of("a.txt", ""), "");
}

TEST_F(Documents, ParagraphsWithTheirHeadings) {
  EXPECT_EQ(shown_of("a.md", "# A\n\ntext\nmore\n\n\nlast\n## B\n### C\n\nend\n#no heading\n"),
            "1:# A\n\ntext\nmore|7:last|8:## B\n### C\n\nend\n#no heading|");
  EXPECT_EQ(shown_of("a.txt", "a\nb\n\nc", {.split = Split::paragraphs}), "1:a\nb|4:c|");
}

TEST_F(Documents, JsonLines) {
  auto sources = read(put("a.jsonl", "{\"text\":\"one\",\"id\":7,\"tags\":[\"x\"]}\n\n{\"text\":\"two\"}\n"));
  ASSERT_TRUE(sources.ok());
  EXPECT_EQ(shown((*sources)[0]), "1:one|3:two|");
  const auto documents = find_documents((*sources)[0]);
  EXPECT_EQ(fields_of((*sources)[0], documents[0]), R"({"id":7,"tags":["x"]})");
  EXPECT_EQ(fields_of((*sources)[0], documents[1]), "");
  EXPECT_EQ(shown_of("b.ndjson", R"({"body":"x"})", {.field = "body"}), "1:x|");
}

TEST_F(Documents, BadJsonLinesAreNamed) {
  const struct {
    const char *line, *words;
  } cases[] = {{"{", "a.jsonl:2"},
               {"[1]", "a.jsonl:2: is not a JSON object"},
               {"{}", "a.jsonl:2: has no field 'text'; name the field that holds it"},
               {R"({"text":1})", "a.jsonl:2: has no text in the field 'text'"},
               {"{\"text\":\"\xff\"}", "a.jsonl:2"}};
  for (const auto& c : cases) {
    const std::string all = shown_of("a.jsonl", std::string("{\"text\":\"a\"}\n") + c.line + "\n");
    EXPECT_NE(all.find(c.words), std::string::npos) << all;
  }
}

TEST_F(Documents, FoldersAreReadInOrder) {
  put("d/b.txt", "b\nb");
  put("d/a/z.md", "z");
  put("d/c.bin", "c");
  put("d/.git/x.md", "hidden");
  put("d/n.txt", std::string_view("a\0b", 3));
  fs::create_directory_symlink(dir_ / "d", dir_ / "d" / "loop");
  auto sources = read((dir_ / "d").string());
  ASSERT_TRUE(sources.ok()) << sources.error().str();
  ASSERT_EQ(sources->size(), 2u);
  EXPECT_TRUE((*sources)[0].name.ends_with("d/a/z.md"));
  EXPECT_EQ(shown((*sources)[1]), "1:b\nb|");
  EXPECT_NE(warnings.find("n.txt: is binary (byte 1 is 0); give files of text; left out"), std::string::npos)
      << warnings;
}

TEST_F(Documents, WhatCannotBeRead) {
  EXPECT_EQ(read((dir_ / "none").string()).error().code, Code::not_found);
  fs::create_directory(dir_ / "empty");
  EXPECT_EQ(read((dir_ / "empty").string()).error().message, "holds no .txt or .md file");
  EXPECT_NE(shown_of("a.txt", std::string_view("ab\0", 3)).find("is binary (byte 2 is 0)"), std::string::npos);
  EXPECT_NE(shown_of("a.txt",
                     "\xff\xfe"
                     "a")
                .find("is UTF-16"),
            std::string::npos);
  EXPECT_EQ(read("/dev/zero").error().message, "is not a file of text, nor a folder");
}

TEST_F(Documents, BrokenTextIsReadWithAWarning) {
  EXPECT_EQ(shown_of("a.txt", "fine\nbro\xffken\n"), "1:fine|2:bro\xffken|");
  EXPECT_NE(warnings.find("a.txt:2: is not UTF-8"), std::string::npos) << warnings;
}

}  // namespace
}  // namespace miao::search

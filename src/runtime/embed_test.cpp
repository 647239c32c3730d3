// Texts to vectors and classes, on tiny encoders of tests/golden/encoders with a small vocabulary beside them.
#include "runtime/embed.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "io/testing.h"
#include "models/spec.h"
#include "prep/tokenizer.h"
#include "runtime/classify.h"

namespace miao::runtime {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenizer = R"({"version":"1.0","added_tokens":[
 {"id":0,"content":"[PAD]","special":true},{"id":1,"content":"[CLS]","special":true},
 {"id":2,"content":"[SEP]","special":true},{"id":3,"content":"[UNK]","special":true}],
 "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},
 "pre_tokenizer":{"type":"BertPreTokenizer"},
 "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},
  {"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}}],"pair":[],
  "special_tokens":{"[CLS]":{"id":"[CLS]","ids":[1],"tokens":["[CLS]"]},"[SEP]":{"id":"[SEP]","ids":[2],"tokens":["[SEP]"]}}},
 "decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
 "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,
  "vocab":{"[PAD]":0,"[CLS]":1,"[SEP]":2,"[UNK]":3,"a":4,"cat":5,"sat":6,"dog":7,"query":8,":":9}}})";
constexpr const char* kModules = R"([{"idx":0,"path":"","type":"sentence_transformers.models.Transformer"},
 {"idx":1,"path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
 {"idx":2,"path":"2_Normalize","type":"sentence_transformers.models.Normalize"}])";
constexpr const char* kPooling = R"({"pooling_mode_cls_token":false,"pooling_mode_mean_tokens":true})";

// A copy of a golden encoder with files beside it.
class Folder {
 public:
  explicit Folder(const char* model) {
    const fs::path source = fs::path(MIAO_SOURCE_DIR) / "tests/golden/encoders" / model;
    for (const char* name : {"config.json", "model.safetensors"}) fs::copy_file(source / name, path() / name);
    add("tokenizer.json", kTokenizer);
  }
  void add(const std::string& name, std::string_view text) {
    fs::create_directories((path() / name).parent_path());
    ASSERT_TRUE(write_file_atomic(path() / name, text).ok());
  }
  void add_sentence() {
    add("modules.json", kModules);
    add("1_Pooling/config.json", kPooling);
  }
  fs::path path() const { return scratch_.path(); }
  Result<std::unique_ptr<Encoder>> open(models::Rows rows = models::Rows::head) const {
    return Encoder::open(path(), {.threads = 1, .rows = rows});
  }

 private:
  io::TempDir scratch_;
};

double length(std::span<const float> x) {
  double sum = 0;
  for (const float v : x) sum += double{v} * double{v};
  return std::sqrt(sum);
}

TEST(Embed, IsTheMeanOfTheRowsAtLengthOne) {
  Folder folder("bert");
  folder.add_sentence();
  auto encoder = folder.open(), tokens = folder.open(models::Rows::tokens);
  ASSERT_TRUE(encoder.ok()) << encoder.error().str();
  ASSERT_TRUE(tokens.ok()) << tokens.error().str();
  const std::string texts[] = {"a dog", "A cat sat", ""};
  auto rows = embed(**encoder, texts);
  ASSERT_TRUE(rows.ok()) << rows.error().str();
  const size_t dim = 48;
  ASSERT_EQ(rows->size(), 3 * dim);
  for (size_t i = 0; i < 3; ++i) {
    auto ids = (**(*tokens)->tokenizer()).encode(texts[i]);
    ASSERT_TRUE(ids.ok());
    const EncoderInput input{*ids, {}};
    auto all = (*tokens)->run({&input, 1});
    ASSERT_TRUE(all.ok());
    std::vector<float> mean(dim);
    for (int64_t r = 0; r < all->rows(0); ++r) {
      for (size_t j = 0; j < dim; ++j) mean[j] += all->row(0, r)[j] / static_cast<float>(all->rows(0));
    }
    const auto got = std::span(*rows).subspan(i * dim, dim);
    EXPECT_NEAR(length(got), 1, 1e-6);
    for (size_t j = 0; j < dim; ++j) EXPECT_NEAR(double{got[j]}, double{mean[j]} / length(mean), 1e-5) << i;
  }
}

TEST(Embed, PoolingOfTheFirstTokenWithoutLength) {
  Folder folder("bert");
  folder.add("modules.json", R"([{"path":"p","type":"x.Pooling"}])");
  folder.add("p/config.json", R"({"pooling_mode":"cls"})");
  auto encoder = folder.open(), tokens = folder.open(models::Rows::tokens);
  ASSERT_TRUE(encoder.ok() && tokens.ok());
  const std::string text = "a cat";
  auto row = embed(**encoder, {&text, 1});
  const std::vector<int32_t> ids{1, 4, 5, 2};
  const EncoderInput input{ids, {}};
  auto all = (*tokens)->run({&input, 1});
  ASSERT_TRUE(row.ok() && all.ok());
  for (size_t j = 0; j < row->size(); ++j) EXPECT_EQ((*row)[j], all->row(0, 0)[j]);
}

TEST(Embed, TooLongTextsAreRefusedOrCutBeforeTheirEnd) {
  Folder folder("bert");
  folder.add_sentence();
  folder.add("sentence_bert_config.json", R"({"max_seq_length":5})");
  auto encoder = folder.open();
  ASSERT_TRUE(encoder.ok());
  EXPECT_EQ(text_limit(**encoder), 5);
  const std::string texts[] = {"a cat", "a cat sat a dog"}, cut = "a cat sat";
  auto refused = embed(**encoder, texts);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().str().find("7 tokens and the model reads 5"), std::string::npos) << refused.error().str();
  EXPECT_NE(refused.error().str().find("text 2"), std::string::npos);
  auto both = embed(**encoder, texts, {.truncate = true}), same = embed(**encoder, {&cut, 1});
  ASSERT_TRUE(both.ok() && same.ok());
  EXPECT_TRUE(std::equal(same->begin(), same->end(), both->begin() + 48));
}

TEST(Embed, Prompts) {
  Folder folder("bert");
  folder.add_sentence();
  folder.add("config_sentence_transformers.json",
             R"({"prompts":{"query":"query: ","none":""},"default_prompt_name":"query"})");
  auto encoder = folder.open();
  ASSERT_TRUE(encoder.ok()) << encoder.error().str();
  const std::string bare = "a cat", whole = "query: a cat";
  auto prompted = embed(**encoder, {&bare, 1}), by_hand = embed(**encoder, {&whole, 1}, {.prompt = ""});
  ASSERT_TRUE(prompted.ok() && by_hand.ok());
  EXPECT_EQ(*prompted, *by_hand);
  auto unknown = find_prompt(**encoder, "passage");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("query, none"), std::string::npos) << unknown.error().message;
}

TEST(Embed, BadModules) {
  const struct {
    const char *modules, *pooling, *words;
  } cases[] = {
      {"{}", kPooling, "list of modules"},
      {R"([{"path":"x"}])", kPooling, "no \"type\""},
      {R"([{"type":"a.Dense","path":"2_Dense"}])", kPooling, "'Dense' is not supported"},
      {R"([{"type":"a.Pooling","path":"../1_Pooling"}])", kPooling, "not a plain name"},
      {R"([{"type":"a.Pooling","path":"/etc"}])", kPooling, "not a plain name"},
      {R"([{"type":"a.Pooling","path":3}])", kPooling, "not a plain name"},
      {R"([{"type":"a.Pooling"}])", kPooling, "not a plain name"},
      {R"([{"type":"a.Pooling","path":"gone"}])", kPooling, "is missing"},
      {kModules, "[]", "expected an object"},
      {kModules, R"({"pooling_mode_max_tokens":true})", "pools by 'max_tokens '"},
      {kModules, R"({"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":true})", "pools by"},
      {kModules, R"({"pooling_mode_mean_tokens":true,"include_prompt":false})", "include_prompt"},
  };
  for (const auto& c : cases) {
    Folder folder("bert");
    folder.add("modules.json", c.modules);
    folder.add("1_Pooling/config.json", c.pooling);
    auto encoder = folder.open();
    ASSERT_FALSE(encoder.ok()) << c.modules << c.pooling;
    EXPECT_NE(encoder.error().str().find(c.words), std::string::npos) << encoder.error().str();
  }
}

TEST(Classify, ProbabilitiesOfTheClasses) {
  Folder folder("bert-sequence");
  auto encoder = folder.open();
  ASSERT_TRUE(encoder.ok()) << encoder.error().str();
  const std::string texts[] = {"a cat sat", "a dog"};
  auto scores = classify(**encoder, texts), raw = classify(**encoder, texts, {.raw = true});
  ASSERT_TRUE(scores.ok() && raw.ok());
  ASSERT_EQ(scores->size(), 6u);
  for (size_t i = 0; i < 6; i += 3) {
    double sum = 0;
    for (size_t c = 0; c < 3; ++c) {
      sum += double{(*scores)[i + c]};
      EXPECT_NEAR(std::log((*scores)[i + c] / (*scores)[i]), (*raw)[i + c] - (*raw)[i], 1e-4);
    }
    EXPECT_NEAR(sum, 1, 1e-6);
  }
  Folder bare("bert");
  auto none = bare.open();
  ASSERT_TRUE(none.ok());
  auto refused = classify(**none, texts);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::unsupported);
}

}  // namespace
}  // namespace miao::runtime

// Two texts as one input: templates, the processors of BERT and RoBERTa, and limits.
#include <gtest/gtest.h>

#include "prep/tokenizer.h"

namespace miao::prep {
namespace {

using Ids = std::vector<int32_t>;

Result<Tokenizer> with(const std::string& post_processor) {
  const std::string json =
      R"({"added_tokens":[{"id":0,"content":"[CLS]","special":true},{"id":1,"content":"[SEP]","special":true},
      {"id":2,"content":"[UNK]","special":true}],"pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":)" +
      post_processor +
      R"(,"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
      "max_input_chars_per_word":100,"vocab":{"[CLS]":0,"[SEP]":1,"[UNK]":2,"a":3,"b":4,"c":5}}})";
  return Tokenizer::from_json(json, "", "t");
}

std::string template_with(const std::string& pair) {
  return R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},
  {"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}}],"pair":)" +
         pair +
         R"(,"special_tokens":{"[CLS]":{"id":"[CLS]","ids":[0],"tokens":["[CLS]"]},
  "[SEP]":{"id":"[SEP]","ids":[1],"tokens":["[SEP]"]}}})";
}

const std::string kPair = R"([{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
  {"SpecialToken":{"id":"[SEP]","type_id":0}},{"Sequence":{"id":"B","type_id":1}},
  {"SpecialToken":{"id":"[SEP]","type_id":1}}])";

TEST(Pair, TemplateWithSegments) {
  auto t = with(template_with(kPair));
  ASSERT_TRUE(t.ok()) << t.error().str();
  auto p = t->encode_pair("a b", "c a c");
  ASSERT_TRUE(p.ok()) << p.error().str();
  EXPECT_EQ(p->ids, (Ids{0, 3, 4, 1, 5, 3, 5, 1}));
  EXPECT_EQ(p->types, (Ids{0, 0, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(p->second, 4u);
  EXPECT_EQ(p->second_size, 3u);
  EXPECT_EQ(*t->encode("a b"), (Ids{0, 3, 4, 1}));
}

TEST(Pair, ProcessorsOfBertAndRoberta) {
  const std::string ends = R"("sep":["[SEP]",1],"cls":["[CLS]",0]})";
  auto bert = with(R"({"type":"BertProcessing",)" + ends);
  auto roberta = with(R"({"type":"RobertaProcessing","trim_offsets":true,"add_prefix_space":false,)" + ends);
  ASSERT_TRUE(bert.ok() && roberta.ok());
  EXPECT_EQ(bert->encode_pair("a", "b")->ids, (Ids{0, 3, 1, 4, 1}));
  EXPECT_EQ(bert->encode_pair("a", "b")->types, (Ids{0, 0, 0, 1, 1}));
  EXPECT_EQ(roberta->encode_pair("a", "b")->ids, (Ids{0, 3, 1, 1, 4, 1}));
  EXPECT_EQ(roberta->encode_pair("a", "b")->types, (Ids(6, 0)));
}

TEST(Pair, RangesAreThoseOfEachText) {
  auto t = with(template_with(kPair));
  ASSERT_TRUE(t.ok());
  auto p = t->encode_pair("a b", "\u4e2d c  a", {.limit = 7, .ranges = true});
  ASSERT_TRUE(p.ok());
  EXPECT_EQ(p->ids, (Ids{0, 3, 4, 1, 2, 5, 1}));
  EXPECT_EQ(p->ranges, (std::vector<ByteRange>{{0, 0}, {0, 1}, {2, 3}, {0, 0}, {0, 3}, {4, 5}, {0, 0}}));
  EXPECT_EQ(p->first, 1u);
  EXPECT_EQ(p->first_size, 2u);
  EXPECT_TRUE(t->encode_pair("a b", "c")->ranges.empty());
  const auto joined = t->join(Ids{3}, Ids{4, 5});
  EXPECT_EQ(joined->ids, (Ids{0, 3, 1, 4, 5, 1}));
  EXPECT_EQ(t->prefix()[0], 0);
  EXPECT_EQ(t->suffix()[0], 1);
}

// Bytes that are no UTF-8 are read as one U+FFFD each and keep their place.
TEST(Pair, RangesOfBrokenText) {
  auto t = with(template_with(kPair));
  ASSERT_TRUE(t.ok());
  auto located = t->locate("a \xFF\xE4\xB8 b");
  ASSERT_TRUE(located.ok());
  EXPECT_EQ(located->ids, (Ids{0, 3, 2, 4, 1}));
  EXPECT_EQ(located->ranges, (std::vector<ByteRange>{{0, 0}, {0, 1}, {2, 5}, {6, 7}, {0, 0}}));
  located = t->locate("");
  ASSERT_TRUE(located.ok());
  EXPECT_EQ(located->ranges.size(), 2u);
}

TEST(Pair, TheSecondTextIsCut) {
  auto t = with(template_with(kPair));
  ASSERT_TRUE(t.ok());
  auto p = t->encode_pair("a b", "c a c", {.limit = 7});
  ASSERT_TRUE(p.ok());
  EXPECT_EQ(p->ids, (Ids{0, 3, 4, 1, 5, 3, 1}));
  EXPECT_EQ(p->second_size, 2u);
  EXPECT_FALSE(t->encode_pair("a b a b", "c", {.limit = 7}).ok());
  EXPECT_FALSE(t->encode_pair("a b a b", "", {.limit = 6}).ok());
  auto none = t->encode_pair("", "", {.limit = 3});
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->ids, (Ids{0, 1, 1}));
}

TEST(Pair, FilesThatDoNotSayHow) {
  for (const char* pair : {"[]", "3", R"([{"Sequence":{"id":"A","type_id":0}}])", R"([{"Sequence":{"id":"C"}}])",
                           R"([{"Sequence":{"id":"A"}},{"Sequence":{"id":"B"}},{"Sequence":{"id":"A"}}])"}) {
    auto t = with(template_with(pair));
    ASSERT_TRUE(t.ok()) << pair << t.error().str();
    auto p = t->encode_pair("a", "b");
    ASSERT_FALSE(p.ok()) << pair;
    EXPECT_EQ(p.error().code, Code::unsupported);
  }
}

}  // namespace
}  // namespace miao::prep

#include "measure/quality_data.h"

#include <gtest/gtest.h>

namespace miao::measure {
namespace {

TEST(QualityData, QuestionsInBothForms) {
  const auto json = parse_questions(R"({"prompt": "The sky is", "choices": ["green", "blue"], "answer": 1})"
                                    "\n\n"
                                    R"({"question": "2 + 2?", "choices": ["3", "4", "1"], "answer": "4"})"
                                    "\n"
                                    R"({"question": "Best letter?", "choices": ["one", "two"], "answer": "B"})",
                                    "q.jsonl");
  ASSERT_TRUE(json.ok()) << json.error().str();
  ASSERT_EQ(json->size(), 3u);
  EXPECT_EQ((*json)[0].prompt, "The sky is");
  EXPECT_EQ((*json)[0].answer, 1);
  EXPECT_EQ((*json)[1].prompt, "Question: 2 + 2?\nAnswer:");
  EXPECT_EQ((*json)[1].answer, 1);
  EXPECT_EQ((*json)[2].answer, 1);
  const auto tsv =
      parse_questions("prompt\tanswer\tchoice1\tchoice2\r\nThe sky is\t1\tgreen\tblue\r\nIt is\tred\tred\tA\n", "q");
  ASSERT_TRUE(tsv.ok()) << tsv.error().str();
  ASSERT_EQ(tsv->size(), 2u);
  EXPECT_EQ((*tsv)[0].answer, 1);
  EXPECT_EQ((*tsv)[0].choices[1], "blue");
  EXPECT_EQ((*tsv)[1].answer, 0);
}

TEST(QualityData, OtherItemsInBothForms) {
  const auto labels = parse_labelled("sentence\tlabel\ngood film\tpositive\nbad one\t0\n", "l");
  ASSERT_TRUE(labels.ok());
  ASSERT_EQ(labels->size(), 2u);
  EXPECT_EQ((*labels)[1].label, "0");
  EXPECT_EQ(parse_labelled(R"({"text": "x", "label": 3})", "l")->at(0).label, "3");
  const auto pairs = parse_pairs("a cat\ta dog\t3.5\n", "p");
  ASSERT_TRUE(pairs.ok());
  EXPECT_EQ((*pairs)[0].score, 3.5);
  EXPECT_EQ(parse_pairs(R"({"sentence1": "a", "sentence2": "b", "score": 1})", "p")->at(0).second, "b");
  const auto sounds = parse_recordings("a.wav\thello there\n/b.wav\tbye\n", "/data/r.tsv");
  ASSERT_TRUE(sounds.ok());
  EXPECT_EQ((*sounds)[0].audio, "/data/a.wav");
  EXPECT_EQ((*sounds)[1].audio, "/b.wav");
  EXPECT_EQ(parse_texts("\xef\xbb\xbfone\n\n two\n", "t")->at(1), " two");
}

TEST(QualityData, WhatIsWrongIsNamedWithItsLine) {
  const auto why = [](const char* text) {
    const auto read = parse_questions(text, "q");
    return read.ok() ? "" : read.error().str();
  };
  EXPECT_EQ(why(" \n"), "q: holds no items (invalid)");
  EXPECT_EQ(why("prompt\tanswer\tchoice\tchoice\n"), "q: holds no items (invalid)");
  EXPECT_EQ(why("a\tb\n"), "q:1: has no prompt, answer and two choices between tabs (invalid)");
  EXPECT_EQ(why("a\t7\tx\ty\n"), "q:1: the answer '7' is none of its 2 choices (invalid)");
  EXPECT_EQ(why("\n{\"prompt\": \"a\"}"), "q:2: has no list \"choices\" (invalid)");
  EXPECT_EQ(why(R"({"choices": ["a", "b"], "answer": 0})"), "q:1: has no \"question\" or \"prompt\" (invalid)");
  EXPECT_EQ(why(R"({"prompt": " ", "choices": ["a", "b"], "answer": 0})"), "q:1: has an empty question (invalid)");
  EXPECT_EQ(why(R"({"prompt": "a", "choices": ["a"], "answer": 0})"), "q:1: has fewer than two choices (invalid)");
  EXPECT_EQ(why(R"({"prompt": "a", "choices": ["a", ""], "answer": 0})"), "q:1: has an empty choice (invalid)");
  EXPECT_EQ(why(R"({"prompt": "a", "choices": ["a", 1], "answer": 0})"), "q:1: has a choice that is no text (invalid)");
  EXPECT_NE(why(R"({"prompt": "a", "choices": ["a", "b"], "answer": 2})").find("counted from 0"), std::string::npos);
  EXPECT_NE(why(R"({"prompt": "a", "choices": ["a", "b"], "answer": 0.5})").find("neither"), std::string::npos);
  EXPECT_EQ(why(R"({"prompt": "a", "choices": ["a", "b"]})"), "q:1: has no \"answer\" (invalid)");
  EXPECT_NE(why("{\"prompt\": \"a\"").find("q:1"), std::string::npos);  // no JSON
  EXPECT_NE(why("{\"prompt\": \"a\"}\n[1]").find("q:1"), std::string::npos);
  EXPECT_FALSE(parse_labelled("one cell\n", "l").ok());
  EXPECT_FALSE(parse_labelled("\tlabel of nothing\n", "l").ok());
  EXPECT_EQ(parse_pairs("a\tb\tmuch\n", "p").error().str(), "p:1: its score 'much' is no number (invalid)");
  EXPECT_FALSE(parse_pairs("a\tb\tnan\n", "p").ok());
  EXPECT_FALSE(parse_recordings("a.wav\n", "r").ok());
  EXPECT_FALSE(parse_texts(std::string_view("a\0", 2), "t").ok());
}

}  // namespace
}  // namespace miao::measure

// miao run, and what it shares with other verbs that run a model.
#include "cli/testing.h"

namespace miao::cli {
namespace {

TEST(Guarded, WhateverIsThrownIsALineAndACode) {
  EXPECT_EQ(guarded([] { return 5; }), 5);
  EXPECT_EQ(guarded([]() -> int { throw std::bad_alloc(); }), kFailed);
  testing::internal::CaptureStderr();
  EXPECT_EQ(guarded([]() -> int { throw std::length_error("basic_string\n"); }), kBug);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "miao: bug: basic_string\\n; please report it with the command line\n");
  EXPECT_EQ(guarded([]() -> int { throw 1; }), kBug);
}

TEST_F(Cli, ABrokenChatTemplateStopsOnlyChats) {
  const std::string path = model("{% if %}");
  const Outcome raw = run({"run", path, "--raw", "a", "-n", "2", "-q"});
  EXPECT_EQ(raw.code, kOk) << raw.err;
  EXPECT_EQ(run({"logits", path, "--ids", "1 2", "-o", (dir_ / "l.npy").string()}).code, kOk);
  const Outcome chat = run({"run", path, "a", "-n", "2", "-q"});
  EXPECT_EQ(chat.code, kFailed);
  EXPECT_NE(chat.err.find("m.gguf: tokenizer.chat_template"), std::string::npos) << chat.err;
  EXPECT_NE(chat.err.find("give another with --template, or continue plain text with --raw"), std::string::npos);
}

}  // namespace
}  // namespace miao::cli

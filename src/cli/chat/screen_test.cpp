#include "cli/chat/screen.h"

#include <gtest/gtest.h>

namespace miao::cli {
namespace {

TEST(Screen, ControlCharactersBecomeVisible) {
  EXPECT_EQ(terminal_safe("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(terminal_safe("\x1b[2J\x07\r\x7f"), "\\x1b[2J\\x07\\x0d\\x7f");
  EXPECT_EQ(terminal_safe("\u009bm\u0080"), "\\x9bm\\x80");
  EXPECT_EQ(terminal_safe("caf\u00e9 \u00a0 \u4e2d \U0001f600"), "caf\u00e9 \u00a0 \u4e2d \U0001f600");
}

}  // namespace
}  // namespace miao::cli

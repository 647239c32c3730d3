#include "cli/terminal.h"

#include <gtest/gtest.h>

namespace miao::cli {
namespace {

TEST(Terminal, TextOfFilesIsMadeSafe) {
  EXPECT_EQ(printable("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), "plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(printable("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(printable("\x1b[2J\x07\x7f"), "\\x1b[2J\\x07\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\xc2\\x9b31m");  // 8-bit CSI
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "abc"),
            "\\xe2\\x80\\xae"
            "abc");                                                                    // right-to-left override
  EXPECT_EQ(printable("\xff\xc0\x80\xed\xa0\x80"), "\\xff\\xc0\\x80\\xed\\xa0\\x80");  // not UTF-8
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");
}

TEST(Terminal, Numbers) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.0 kB");
  EXPECT_EQ(human_bytes(98362432), "98.4 MB");
  EXPECT_EQ(human_bytes(999960000), "1.0 GB");
  EXPECT_EQ(human_count(134515008), "134.5 M");
  EXPECT_EQ(human_count(12), "12");
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(human_seconds(7.4), "0:07");
  EXPECT_EQ(human_seconds(3723), "1:02:03");
}

TEST(Terminal, Shortening) {
  EXPECT_EQ(shorten("abcdef", 6), "abcdef");
  EXPECT_EQ(shorten("abcdefg", 6), "abc...");
  EXPECT_EQ(shorten("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 4), "\xc3\xa9...");
  EXPECT_EQ(display_width("\xc3\xa9"
                          "a"),
            2u);
}

TEST(Terminal, WidthsAreThoseOfTheTerminal) {
  EXPECT_EQ(display_width("\xe7\x8b\x90\xf0\x9f\x98\x80"), 4u);  // a CJK character and an emoji
  EXPECT_EQ(display_width("e\xcc\x81"), 1u);                     // e and a combining accent
  EXPECT_EQ(display_width("\xff"), 1u);
  EXPECT_EQ(shorten("\xe7\x8b\x90\xe7\x8b\x90\xe7\x8b\x90", 6), "\xe7\x8b\x90\xe7\x8b\x90\xe7\x8b\x90");
  EXPECT_EQ(shorten("\xe7\x8b\x90\xe7\x8b\x90\xe7\x8b\x90", 5), "\xe7\x8b\x90...");
}

TEST(Terminal, TablesAlign) {
  Table table({{"NAME"}, {"SIZE", true}, {"REST"}});
  table.add({"\xc3\xa9", "1", "x"});
  table.add({"longer", "1000"});
  EXPECT_EQ(table.str(), "NAME    SIZE  REST\n\xc3\xa9          1  x\nlonger  1000  \n");
}

}  // namespace
}  // namespace miao::cli

#include "cli/chat/command.h"

#include <gtest/gtest.h>

namespace miao::cli {
namespace {

TEST(ChatCommand, Parses) {
  const auto parse = [](std::string line) {
    const auto r = parse_command(line);
    EXPECT_TRUE(r.ok());
    return std::pair(r.ok() ? *r : std::nullopt, line);
  };
  EXPECT_FALSE(parse("hello").first);
  EXPECT_FALSE(parse("").first);
  EXPECT_FALSE(parse(" /help").first);
  const auto [none, message] = parse("//etc/passwd");
  EXPECT_FALSE(none);
  EXPECT_EQ(message, "/etc/passwd");
  EXPECT_EQ(parse("/exit").first->kind, Command::Kind::exit);
  EXPECT_EQ(parse("/quit  ").first->kind, Command::Kind::exit);
  const auto system = parse("/system  You are\n a cat. ").first;
  ASSERT_TRUE(system);
  EXPECT_EQ(system->kind, Command::Kind::system);
  EXPECT_EQ(system->argument, "You are\n a cat.");
  EXPECT_EQ(parse("/system").first->argument, "");
  EXPECT_EQ(parse("/save a b.json").first->argument, "a b.json");
}

TEST(ChatCommand, Mistakes) {
  for (std::string line : {"/", "/nothing", "/save", "/load ", "/clear now", "/HELP"}) {
    const auto r = parse_command(line);
    ASSERT_FALSE(r.ok()) << line;
    EXPECT_EQ(r.error().code, Code::invalid);
  }
}

}  // namespace
}  // namespace miao::cli

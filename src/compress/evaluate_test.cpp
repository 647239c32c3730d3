#include "compress/evaluate.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace miao::compress {
namespace {

std::string why(const std::string& command, Code code, double seconds = 0) {
  const auto figure = evaluation_by({.command = command, .seconds = seconds})("m.gguf");
  EXPECT_FALSE(figure.ok()) << command;
  if (figure.ok()) return {};
  EXPECT_EQ(figure.error().code, code) << figure.error().str();
  EXPECT_NE(figure.error().where.find(command.substr(0, 8)), std::string::npos) << figure.error().where;
  return figure.error().message;
}

TEST(EvaluateCommand, TheLastWordIsTheFigure) {
  for (const auto& [text, number] :
       {std::pair{"0.5", 0.5}, {"acc: 0.25\n", 0.25}, {"1\n2\n-3e-1 \n\n", -0.3}, {"+7", 7}, {"x\t8\r\n", 8}})
    EXPECT_EQ(*last_number(text), number) << text;
  EXPECT_NE(last_number("").error().message.find("printed nothing"), std::string::npos);
  EXPECT_NE(last_number(" \n").error().message.find("printed nothing"), std::string::npos);
  for (const char* text : {"12 points", "0.5x", "65%", "--1", "1,5", "0x10", "1e999"})
    EXPECT_NE(last_number(text).error().message.find("no number"), std::string::npos) << text;
  for (const char* text : {"nan", "-inf", "inf", "NaN"})
    EXPECT_NE(last_number(text).error().message.find("nothing can be judged"), std::string::npos) << text;
}

TEST(EvaluateCommand, TheFileIsAnArgumentAWordAndAVariable) {
  const auto figure = [](const char* command) { return evaluation_by({.command = command})("a 'b'/7"); };
  EXPECT_EQ(*figure("test {} = \"$MIAO_MODEL\" && basename {}"), 7);
  EXPECT_EQ(*figure("basename"), 7);
  EXPECT_EQ(*figure("f() { echo \"$#$1\" | tail -c 2; }; f"), 7);
  EXPECT_EQ(*figure("printf '%s\\n' noise 12 >&2; echo 3 #"), 3);
}

TEST(EvaluateCommand, HowItFailsIsSaid) {
  EXPECT_EQ(why("exit 3 #", Code::io), "ended with exit status 3; it wrote nothing to its standard error");
  EXPECT_EQ(why("echo 1; printf '1\\n2\\n3\\n4\\n5\\nlast\\n' >&2; false #", Code::io),
            "ended with exit status 1; its standard error ends with: 2 | 3 | 4 | 5 | last");
  EXPECT_NE(why("no-such-program", Code::io).find("exit status 127"), std::string::npos);
  EXPECT_NE(why("kill -SEGV $$ #", Code::io).find("was killed by signal 11 (SIGSEGV)"), std::string::npos);
  EXPECT_NE(why("echo hello #", Code::invalid).find("printed 'hello' last"), std::string::npos);
  EXPECT_NE(why("echo nan; echo because >&2 #", Code::invalid).find("because"), std::string::npos);
  EXPECT_NE(why("true", Code::invalid).find("printed nothing"), std::string::npos);
  const double start = now_seconds();
  EXPECT_NE(why("echo 1; sleep 60 #", Code::io, 0.2).find("took longer than 0.2 s and was stopped"), std::string::npos);
  EXPECT_LT(now_seconds() - start, 10);
}

TEST(EvaluateCommand, Cancelled) {
  const std::atomic<bool> stop{true};
  const auto figure = evaluation_by({.command = "sleep 60 #", .cancel = &stop})("m");
  ASSERT_FALSE(figure.ok());
  EXPECT_EQ(figure.error().code, Code::cancelled);
}

}  // namespace
}  // namespace miao::compress

#include "base/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/clock.h"
#include "base/file.h"

namespace miao {
namespace {

using End = CommandResult::End;

CommandResult result_of(const std::string& command, const CommandOptions& options = {}) {
  auto result = run_command(command, options);
  EXPECT_TRUE(result.ok()) << result.error().str();
  return result.ok() ? *result : CommandResult();
}

// Whether a process lives: one that is not reaped yet does not.
bool alive(pid_t pid) {
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  return stat.ok() && stat->find(") Z") == std::string::npos;
}

bool ends_soon(pid_t pid) {
  for (int i = 0; i < 200 && alive(pid); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return !alive(pid);
}

TEST(Process, WhatACommandWritesAndHowItEnds) {
  const CommandResult fine = result_of("echo one; echo two >&2; echo $NAME; cat", {.environment = {{"NAME", "a b"}}});
  EXPECT_EQ(fine.end, End::exited);
  EXPECT_EQ(fine.code, 0);
  EXPECT_EQ(fine.out, "one\na b\n");  // and cat had nothing to read
  EXPECT_EQ(fine.err, "two\n");
  const CommandResult wrong = result_of("exit 3");
  EXPECT_EQ(wrong.code, 3);
  EXPECT_EQ(wrong.how(), "ended with exit status 3");
  const CommandResult killed = result_of("kill -9 $$");
  EXPECT_EQ(killed.end, End::signalled);
  EXPECT_EQ(killed.how(), "was killed by signal 9 (SIGKILL)");
  EXPECT_EQ(result_of("no-such-command-at-all").code, 127);
}

TEST(Process, OfMuchTheEndIsKept) {
  const CommandResult much = result_of("yes 0123456789 | head -n 300000; echo last");
  EXPECT_EQ(much.out.size(), size_t{64} << 10);
  EXPECT_TRUE(much.out.ends_with("0123456789\nlast\n"));
}

TEST(Process, OneThatHangsIsStoppedWithAllOfItsGroup) {
  const double start = now_seconds();
  const CommandResult late = result_of("sleep 100 & echo $!; yes > /dev/null", {.seconds = 0.3});
  EXPECT_EQ(late.end, End::timed_out);
  EXPECT_LT(now_seconds() - start, 5);
  EXPECT_TRUE(ends_soon(std::stoi(late.out)));
  // One that writes without end, and one that does not listen to SIGTERM.
  EXPECT_EQ(result_of("yes", {.seconds = 0.2}).end, End::timed_out);
  EXPECT_EQ(result_of("trap '' TERM; while :; do sleep 0.01; done", {.seconds = 0.2}).end, End::timed_out);
}

TEST(Process, WhatItLeavesInTheBackgroundGoesWithIt) {
  const double start = now_seconds();
  const CommandResult left = result_of("sleep 100 & echo $!");  // holds the pipes
  EXPECT_LT(now_seconds() - start, 5);
  EXPECT_EQ(left.code, 0);
  EXPECT_TRUE(ends_soon(std::stoi(left.out)));
}

TEST(Process, Cancelled) {
  std::atomic<bool> stop{false};
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    stop = true;
  });
  const double start = now_seconds();
  const auto result = run_command("sleep 100", {.cancel = &stop});
  later.join();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, Code::cancelled);
  EXPECT_LT(now_seconds() - start, 5);
}

TEST(Process, TheShellDoesNotOutliveAProcessThatIsKilled) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    (void)run_command("echo $$ > /proc/self/fd/" + std::to_string(ends[1]) + "; while :; do sleep 0.01; done", {});
    ::_exit(0);
  }
  char text[32] = {};
  ASSERT_GT(::read(ends[0], text, sizeof text - 1), 0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(ends_soon(std::stoi(text)));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Process, WordsOfAShell) {
  EXPECT_EQ(shell_quoted("plain-1.gguf"), "plain-1.gguf");
  for (const char* word : {"", "a b", "it's", "$(echo x)", "a\nb", "\"", "*"})
    EXPECT_EQ(result_of("printf %s " + shell_quoted(word)).out, word);
}

}  // namespace
}  // namespace miao

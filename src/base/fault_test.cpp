#include "base/fault.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace miao {
namespace {

// Each in a process of its own: passings are counted for good.
[[noreturn]] void pass(const char* wanted, int times) {
  ::setenv("MIAO_FAULT", wanted, 1);
  int failed = 0;
  for (int i = 0; i < times; ++i) failed += fault_point("here") && errno == ENOSPC;
  ::_exit(failed);
}

TEST(Fault, TheNthPassingFailsAndAllBehindIt) {
  EXPECT_FALSE(fault_point("here"));
  EXPECT_EXIT(pass("here:3:full", 5), testing::ExitedWithCode(3), "");
  EXPECT_EXIT(pass("here:1:full", 2), testing::ExitedWithCode(2), "");
  EXPECT_EXIT(pass("there:1:full", 5), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(pass("here", 5), testing::ExitedWithCode(0), "");
}

TEST(Fault, TheNthPassingKills) {
  EXPECT_EXIT(pass("here:2:kill", 1), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(pass("here:2:kill", 2), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT(pass("here:2:interrupt", 2), testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace miao

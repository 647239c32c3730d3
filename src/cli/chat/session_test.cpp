// A chat at a terminal: the test holds the other end of it.
#include "cli/chat/session.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "cli/terminal.h"
#include "cli/testing.h"

namespace miao::cli {
namespace {

struct Terminal {
  int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  std::string slave;  // empty where the system gives no pseudo-terminals: a chroot without /dev/pts
  std::string shown;

  Terminal() {
    if (master >= 0 && ::grantpt(master) == 0 && ::unlockpt(master) == 0) slave = ::ptsname(master);
  }
  ~Terminal() { ::close(master); }
  void type(std::string_view text) {
    EXPECT_EQ(::write(master, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // Reads until `text` was shown; false after ten seconds without anything new.
  bool wait_for(std::string_view text) {
    size_t at = 0;
    while ((at = shown.find(text)) == std::string::npos) {
      pollfd ready{master, POLLIN, 0};
      char buffer[4096];
      const ssize_t n = ::poll(&ready, 1, 10000) > 0 ? ::read(master, buffer, sizeof buffer) : -1;
      if (n <= 0) return false;
      shown.append(buffer, static_cast<size_t>(n));
    }
    shown.erase(0, at + text.size());
    return true;
  }
};

TEST(Echo, IsOffWhileTheObjectLives) {
  const Terminal terminal;
  if (terminal.slave.empty()) GTEST_SKIP() << "no pseudo-terminals here";
  const int slave = ::open(terminal.slave.c_str(), O_RDWR | O_NOCTTY), before = ::dup(STDIN_FILENO);
  ::dup2(slave, STDIN_FILENO);
  const auto echo = [&] {
    termios mode{};
    EXPECT_EQ(::tcgetattr(slave, &mode), 0);
    return (mode.c_lflag & ECHO) != 0;
  };
  EXPECT_TRUE(echo());
  {
    const EchoOff quiet;
    EXPECT_FALSE(echo());
  }
  EXPECT_TRUE(echo());
  ::dup2(before, STDIN_FILENO);
  ::close(before);
  ::close(slave);
}

class ChatAtATerminal : public Cli {
 protected:
  void SetUp() override {
    if (terminal.slave.empty()) GTEST_SKIP() << "no pseudo-terminals here";
  }
  pid_t begin() {
    const std::string path = model();
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::setsid();
    const int slave = ::open(terminal.slave.c_str(), O_RDWR);
    ::ioctl(slave, TIOCSCTTY, 0);
    for (const int fd : {0, 1, 2}) ::dup2(slave, fd);
    ::setenv("TERM", "xterm", 1);
    child({"run", path, "-n", "1", "-q", "--logit-bias", "2=-inf", "-c", "64"});
  }
  std::string history() { return get(".local/state/miao/history"); }

  Terminal terminal;
};

TEST_F(ChatAtATerminal, PastedLinesAreOneMessage) {
  const pid_t pid = begin();
  ASSERT_TRUE(terminal.wait_for("> "));
  terminal.type("\x1b[200~abc\rdef\x1b[201~");
  ASSERT_TRUE(terminal.wait_for("def"));
  terminal.type("\r");
  ASSERT_TRUE(terminal.wait_for("> "));
  terminal.type("/exit\r");  // Ctrl-D gets lost where the prompt shows before the editor listens
  EXPECT_EQ(wait(pid), kOk);
  EXPECT_NE(history().find("abc\\012def\n"), std::string::npos) << history();
}

TEST_F(ChatAtATerminal, AFullContextIsExplained) {
  const pid_t pid = begin();
  ASSERT_TRUE(terminal.wait_for("> "));
  terminal.type(std::string(70, 'a') + "\r");
  EXPECT_TRUE(terminal.wait_for("the context holds 64. /clear begins anew"));
  ASSERT_TRUE(terminal.wait_for("> "));
  terminal.type("/exit\r");
  EXPECT_EQ(wait(pid), kOk);
}

TEST_F(ChatAtATerminal, SigtermLeavesInOrder) {
  const pid_t pid = begin();
  ASSERT_TRUE(terminal.wait_for("> "));
  terminal.type("abc\r");
  ASSERT_TRUE(terminal.wait_for("> "));
  ::kill(pid, SIGTERM);
  EXPECT_EQ(wait(pid), kInterrupted);
  EXPECT_NE(history().find("abc\n"), std::string::npos) << history();
}

}  // namespace
}  // namespace miao::cli

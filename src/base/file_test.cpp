// Mappings, bounded reads and atomic writes.
#include "base/file.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <random>

#include "base/check.h"

namespace miao {
namespace {

namespace fs = std::filesystem;

class File : public ::testing::Test {
 protected:
  File() : dir_(fs::temp_directory_path() / ("miao-file-test-" + std::to_string(std::random_device()()))) {
    fs::create_directory(dir_);
  }
  ~File() override {
    std::error_code ignored;
    fs::remove_all(dir_, ignored);
  }
  fs::path dir_;
};

TEST_F(File, WhatIsWrittenIsReadAndMapped) {
  const std::string text = std::string("a\0b\n", 4) + std::string(100000, 'x');
  ASSERT_TRUE(write_file_atomic(dir_ / "f", text).ok());
  EXPECT_EQ(*read_file(dir_ / "f"), text);
  auto mapped = MappedFile::open(dir_ / "f");
  ASSERT_TRUE(mapped.ok());
  ASSERT_EQ(mapped->bytes().size(), text.size());
  EXPECT_EQ(std::memcmp(mapped->bytes().data(), text.data(), text.size()), 0);
  EXPECT_EQ(mapped->path(), (dir_ / "f").string());
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), {}), 1);  // no temporary is left
}

TEST_F(File, EmptyFiles) {
  ASSERT_TRUE(write_file_atomic(dir_ / "f", "").ok());
  EXPECT_EQ(*read_file(dir_ / "f"), "");
  auto mapped = MappedFile::open(dir_ / "f");
  ASSERT_TRUE(mapped.ok());
  EXPECT_TRUE(mapped->bytes().empty());
  mapped->release(mapped->bytes());
}

TEST_F(File, AMovedMappingStaysValid) {
  ASSERT_TRUE(write_file_atomic(dir_ / "f", "abc").ok());
  auto mapped = MappedFile::open(dir_ / "f");
  ASSERT_TRUE(mapped.ok());
  const std::byte* data = mapped->bytes().data();
  MappedFile moved = std::move(*mapped);
  MappedFile again;
  again = std::move(moved);
  EXPECT_EQ(again.bytes().data(), data);
  EXPECT_EQ(static_cast<char>(again.bytes()[2]), 'c');
}

TEST_F(File, ReleasedPagesReadTheSame) {
  std::string text(1 << 20, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31);
  ASSERT_TRUE(write_file_atomic(dir_ / "f", text).ok());
  auto mapped = MappedFile::open(dir_ / "f");
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ(std::memcmp(mapped->bytes().data(), text.data(), text.size()), 0);
  for (const auto& [begin, size] :
       {std::pair<size_t, size_t>{0, text.size()}, {1, 4096}, {4095, 2}, {5, 1 << 19}, {text.size(), 0}}) {
    mapped->release(mapped->bytes().subspan(begin, size));
    EXPECT_EQ(std::memcmp(mapped->bytes().data(), text.data(), text.size()), 0);
  }
}

TEST_F(File, WhatCannotBeReadIsAnErrorThatNamesIt) {
  fs::create_directory(dir_ / "d");
  ASSERT_EQ(::mkfifo((dir_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::open(dir_ / "absent").error().code, Code::not_found);
  EXPECT_EQ(MappedFile::open(dir_ / "d").error().code, Code::invalid);
  EXPECT_EQ(MappedFile::open(dir_ / "pipe").error().code, Code::invalid);  // and it does not wait for a writer
  EXPECT_EQ(read_file(dir_ / "absent").error().code, Code::not_found);
  EXPECT_EQ(read_file(dir_ / "d").error().code, Code::io);
  EXPECT_EQ(MappedFile::open(dir_ / "absent").error().where, (dir_ / "absent").string());
}

TEST_F(File, ReadsAreBounded) {
  ASSERT_TRUE(write_file_atomic(dir_ / "f", std::string(1000, 'x')).ok());
  EXPECT_TRUE(read_file(dir_ / "f", 1000).ok());
  auto over = read_file(dir_ / "f", 999);
  ASSERT_FALSE(over.ok());
  EXPECT_NE(over.error().str().find("limit of 999 bytes"), std::string::npos);
  EXPECT_FALSE(read_file("/dev/zero", 1 << 20).ok());
}

TEST_F(File, AnAtomicWriteReplacesOrLeavesTheOld) {
  ASSERT_TRUE(write_file_atomic(dir_ / "f", "old").ok());
  ASSERT_TRUE(write_file_atomic(dir_ / "f", "new").ok());
  EXPECT_EQ(*read_file(dir_ / "f"), "new");
  EXPECT_EQ(write_file_atomic(dir_ / "absent/f", "x").error().code, Code::not_found);
  fs::create_directories(dir_ / "taken");
  EXPECT_FALSE(write_file_atomic(dir_ / "taken", "x").ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), {}), 2);  // the failed write left nothing
}

TEST_F(File, ANamelessFileIsThereWhenItIsNamed) {
  for (const std::string_view text : {"first", "second"}) {
    auto file = NamelessFile::create(dir_);
    ASSERT_TRUE(file.ok()) << file.error().str();
    ASSERT_TRUE(file->append(std::as_bytes(std::span(text))).ok());
    EXPECT_EQ(fs::is_empty(dir_), text == "first");
    EXPECT_TRUE(file->name("a").ok());
    EXPECT_EQ(*read_file(dir_ / "a"), "first") << "what is there stays";
  }
  { const auto dropped = NamelessFile::create(dir_); }
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 1);
  EXPECT_FALSE(NamelessFile::create(dir_ / "absent").ok());
}

// With a name meanwhile and without one.
class Atomic : public File, public ::testing::WithParamInterface<bool> {
 protected:
  Result<AtomicFile> create(const fs::path& path) { return AtomicFile::create(path, 0644, GetParam()); }
  static std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
  ptrdiff_t files() { return std::distance(fs::directory_iterator(dir_), {}); }
};

TEST_P(Atomic, TakesItsNameWhenItIsWhole) {
  const fs::path path = dir_ / "f";
  ASSERT_TRUE(write_file_atomic(path, "old").ok());
  auto file = create(path);
  ASSERT_TRUE(file.ok()) << file.error().str();
  ASSERT_TRUE(file->reserve(6).ok());
  ASSERT_TRUE(file->append(bytes("abc")).ok());
  ASSERT_TRUE(file->append(bytes("def")).ok());
  ASSERT_TRUE(file->patch(2, bytes("XY")).ok());
  EXPECT_EQ(file->size(), 6u);
  EXPECT_EQ(*read_file(path), "old");
  EXPECT_EQ(*read_file(file->readable()), "abXYef");
  AtomicFile moved = std::move(*file);
  ASSERT_TRUE(moved.patch(5, bytes("Z")).ok());
  ASSERT_TRUE(moved.commit().ok());
  EXPECT_EQ(*read_file(path), "abXYeZ");
  EXPECT_EQ(files(), 1);
}

TEST_P(Atomic, OneThatIsDroppedLeavesNothing) {
  const fs::path path = dir_ / "f";
  ASSERT_TRUE(write_file_atomic(path, "old").ok());
  {
    auto file = create(path);
    ASSERT_TRUE(file->append(bytes("new")).ok());
    EXPECT_EQ(files(), GetParam() ? 1 : 2);
  }
  EXPECT_EQ(files(), 1);
  EXPECT_EQ(*read_file(path), "old");
}

TEST_P(Atomic, WhatAKilledWriterLeftIsDeletedByTheNext) {
  const fs::path path = dir_ / "f";
  ASSERT_TRUE(write_file_atomic(path, "old").ok());
  const auto write = [&] {
    auto file = create(path);
    return file.ok() && file->append(bytes("new")).ok() && file->commit().ok();
  };
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("MIAO_FAULT", "file.rename:1:kill", 1);
    ::_exit(write());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(*read_file(path), "old");
  EXPECT_EQ(files(), 2);
  std::ofstream(dir_ / "f.tmp.none") << "not ours";
  std::ofstream(dir_ / ("f.tmp." + std::to_string(::getppid()) + ".0")) << "of one that lives";
  EXPECT_TRUE(write());
  EXPECT_EQ(*read_file(path), "new");
  EXPECT_EQ(files(), 3);
}

TEST_P(Atomic, BytesThatAreNotThereCannotBePatched) {
  auto file = create(dir_ / "f");
  ASSERT_TRUE(file->append(bytes("abc")).ok());
  EXPECT_THROW((void)file->patch(2, bytes("xy")), Bug);
  EXPECT_THROW((void)file->patch(4, {}), Bug);
}

TEST_P(Atomic, WhereItCannotBeWrittenIsToldAtOnce) {
  const auto error = [&](const fs::path& path) { return create(path).error().str(); };
  EXPECT_NE(error(dir_ / "absent/f").find("there is no folder '" + (dir_ / "absent").string()), std::string::npos);
  ASSERT_TRUE(write_file_atomic(dir_ / "f", "old").ok());
  EXPECT_NE(error(dir_ / "f/g").find("there is no folder"), std::string::npos);
  EXPECT_NE(error(dir_).find("is a folder"), std::string::npos);
  EXPECT_NE(error("/dev/null").find("not an ordinary file"), std::string::npos);
  fs::create_directory(dir_ / "locked");
  fs::permissions(dir_ / "locked", fs::perms::owner_read | fs::perms::owner_exec);
  if (::access((dir_ / "locked").c_str(), W_OK) == 0) GTEST_SKIP() << "this user may write everywhere";
  EXPECT_NE(error(dir_ / "locked/f").find("is not writable"), std::string::npos);
}

// The size that a process may give a file ends as a disk does: in the middle of a write.
TEST_P(Atomic, AFileThatFindsNoRoomLeavesTheOld) {
  const fs::path path = dir_ / "f";
  ASSERT_TRUE(write_file_atomic(path, "old").ok());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto on_signal = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{1 << 16, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::string written;
  {
    auto file = create(path);
    const std::string text(50000, 'x');
    for (int i = 0; i < 3 && written.empty(); ++i) {
      if (auto r = file->append(bytes(text)); !r.ok()) written = r.error().str();
    }
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, on_signal);
  EXPECT_NE(written.find(path.string() + ": cannot write"), std::string::npos) << written;
  EXPECT_EQ(*read_file(path), "old");
  EXPECT_EQ(files(), 1);
}

INSTANTIATE_TEST_SUITE_P(Ways, Atomic, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Nameless" : "Named"; });

// A disk of 64 KiB, where this user may make one.
TEST_F(File, AFullDiskIsAnErrorThatSaysSo) {
  const auto full = [&] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 2;
    if (::mount("none", dir_.c_str(), "tmpfs", 0, "size=65536") != 0) return 2;
    if (!write_file_atomic(dir_ / "f", "old").ok()) return 3;
    const auto r = write_file_atomic(dir_ / "f", std::string(100000, 'x'));
    const bool said = !r.ok() && r.error().str().find("No space left on device") != std::string::npos;
    auto file = AtomicFile::create(dir_ / "g");
    const bool told = file.ok() && !file->reserve(100000).ok();
    const bool clean = std::distance(fs::directory_iterator(dir_), {}) == 1;
    return said && told && clean && *read_file(dir_ / "f") == "old" ? 0 : 4;
  };
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(full());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "no disk of its own for this user";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Asking is safe where touching would end the process.
TEST_F(File, PagesThatAreGoneAreNotReadable) {
  ASSERT_TRUE(write_file_atomic(dir_ / "f", std::string(5 * 4096 + 10, 'x')).ok());
  auto file = MappedFile::open(dir_ / "f");
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(file->readable(file->bytes()));
  EXPECT_TRUE(file->readable({}));
  fs::resize_file(dir_ / "f", 4096 + 1);
  if (file->readable(file->bytes())) GTEST_SKIP() << "this kernel cannot tell";
  EXPECT_TRUE(file->readable(file->bytes().first(4097)));
  EXPECT_TRUE(file->readable(file->bytes().subspan(4000, 4096)));
  EXPECT_FALSE(file->readable(file->bytes().subspan(2 * 4096 - 1, 2)));
  EXPECT_FALSE(file->readable(file->bytes().last(1)));
}

TEST_F(File, OneThatWasWrittenToHasAnotherIdentity) {
  const fs::path path = dir_ / "a";
  ASSERT_TRUE(write_file_atomic(path, "text").ok());
  const std::string old = MappedFile::open(path)->identity();
  EXPECT_EQ(MappedFile::open(path)->identity(), old);
  const auto written = fs::last_write_time(path);
  std::ofstream(path) << "TEXT";
  fs::last_write_time(path, written);
  EXPECT_NE(MappedFile::open(path)->identity(), old);
}

TEST_F(File, AMappingOfAFileThatShrinksEndsWithAMessage) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer has its own SIGBUS handler";
#endif
  ASSERT_TRUE(write_file_atomic(dir_ / "f", std::string(1 << 16, 'x')).ok());
  EXPECT_EXIT(
      {
        auto mapped = MappedFile::open(dir_ / "f");
        [[maybe_unused]] const int cut = ::truncate((dir_ / "f").c_str(), 10);
        volatile auto byte = static_cast<char>(mapped->bytes()[40000]);
        (void)byte;
      },
      ::testing::ExitedWithCode(1), "truncated while in use");
}

TEST_F(File, WhatIsNoTextIsTold) {
  EXPECT_TRUE(check_text("a\nb \xc3\xa9", "f").ok());
  EXPECT_TRUE(check_text("", "f").ok());
  EXPECT_EQ(check_text(std::string_view("ab\0c", 4), "f").error().str(),
            "f: is binary (byte 2 is 0); give files of text (invalid)");
  EXPECT_EQ(check_text("\xff\xfe\x41", "f").error().message.substr(0, 9), "is UTF-16");
}

}  // namespace
}  // namespace miao

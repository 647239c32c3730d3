// For tests: tools/hub_server.py as a child process, a temporary directory, and an environment that points there.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "io/hub.h"
#include "io/hub/http.h"

namespace miao::io {

// One server for all tests of a process; its pipe closes with the process, which ends it.
class HubServer {
 public:
  static HubServer& instance() {
    static HubServer server;
    return server;
  }
  const std::filesystem::path& root() const { return root_; }
  std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
  std::string cdn_url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(cdn_) + path; }
  int port() const { return port_; }

  void faults(const std::string& json) { control("/-/faults?set=" + percent_encode(json)); }
  Json log() { return control("/-/log"); }

 private:
  HubServer() {
    // Memory where there is some for that: every download is flushed to its disk.
    std::string path = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : testing::TempDir();
    path += "miao_hub_XXXXXX";
    root_ = ::mkdtemp(path.data());
    int in[2], out[2];
    EXPECT_EQ(::pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    std::string script = std::string(MIAO_SOURCE_DIR) + "/tools/hub_server.py", where = root_.string();
    char python[] = "python3", flag[] = "--root";
    char* arguments[] = {python, script.data(), flag, where.data(), nullptr};
    EXPECT_EQ(::posix_spawnp(&pid_, python, &actions, nullptr, arguments, environ), 0) << "python3 is needed";
    posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    stdin_ = in[1];
    std::string line;
    for (char c; ::read(out[0], &c, 1) == 1 && c != '\n';) line += c;
    ::close(out[0]);
    const auto json = parse_json(line, "hub_server.py");
    EXPECT_TRUE(json.ok()) << "the test server did not start";
    if (json.ok()) {
      port_ = json->value("port", 0);
      cdn_ = json->value("cdn", 0);
    }
  }
  ~HubServer() {
    ::close(stdin_);
    ::waitpid(pid_, nullptr, 0);
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  Json control(const std::string& path) {
    Http http({});
    const auto response = http.send({.url = url(path)});
    EXPECT_TRUE(response.ok()) << (response.ok() ? "" : response.error().str());
    if (!response.ok()) return {};
    auto json = parse_json(response->body, "control");
    return json.ok() ? *json : Json();
  }

  std::filesystem::path root_;
  pid_t pid_ = 0;
  int stdin_ = -1, port_ = 0, cdn_ = 0;
};

class HubTest : public testing::Test {
 protected:
  HubTest() : server_(HubServer::instance()), home_(server_.root() / "home") {
    std::error_code ignored;
    for (const char* name : {"models", "packages", "files", "home"})
      std::filesystem::remove_all(server_.root() / name, ignored);
    std::filesystem::create_directories(home_);
    for (const char* name :
         {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE",
          "HF_HUB_OFFLINE", "MIAO_OFFLINE", "HF_HUB_DISABLE_SYMLINKS", "HF_HUB_DISABLE_IMPLICIT_TOKEN",
          "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "NETRC", "http_proxy", "HTTP_PROXY", "XDG_CACHE_HOME"}) {
      ::unsetenv(name);
    }
    set("HOME", home_.string());
    set("HF_HOME", (home_ / "hf").string());
    set("MIAO_CACHE", (home_ / "miao").string());
    set("HF_ENDPOINT", server_.url(""));
    set("PIP_CONFIG_FILE", "/dev/null");
    set("PIP_INDEX_URL", server_.url("/simple/"));
    server_.faults("[]");
    server_.log();
    options_.retry_seconds = 0.01;
  }

  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

  void put(const std::string& path, const std::string& bytes) {
    std::filesystem::create_directories((server_.root() / path).parent_path());
    std::ofstream(server_.root() / path, std::ios::binary) << bytes;
  }
  static std::string content(const std::filesystem::path& path) {
    const auto text = read_file(path);
    return text.ok() ? *text : "<" + text.error().str() + ">";
  }
  template <class T>
  static Error failure(const Result<T>& result) {
    return result.ok() ? Error{Code::device, "unexpected success", ""} : result.error();
  }
  // `size` bytes that differ by seed.
  static std::string bytes(size_t size, unsigned seed) {
    std::string out(size, '\0');
    uint64_t state = seed * 2654435761u + 1;
    for (char& c : out) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      c = static_cast<char>(state >> 56);
    }
    return out;
  }
  // Names below a directory that contain `part`.
  static std::vector<std::string> find(const std::filesystem::path& dir, const std::string& part) {
    std::vector<std::string> out;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (name.find(part) != std::string::npos) out.push_back(name);
    }
    return out;
  }

  HubServer& server_;
  std::filesystem::path home_;
  ResolveOptions options_;
};

}  // namespace miao::io

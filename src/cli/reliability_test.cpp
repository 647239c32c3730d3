// What kills, full disks, damaged weights and Ctrl-C leave behind of miao quantize and miao compress.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cli/testing.h"
#include "compress/measurements.h"
#include "io/checkpoint.h"

namespace miao::cli {
namespace {

constexpr int kKilled = 128 + SIGKILL;

class Reliability : public Cli {
 protected:
  Reliability() {
    EXPECT_TRUE(runtime::talking_model().write(model()).ok());
    std::string text;
    for (int i = 0; i < 2500; ++i)
      text += "the cat number " + std::to_string(i * i) + " sat on mat " + std::to_string(i) + "\n";
    put("text.txt", text);
  }
  ~Reliability() override { ::unsetenv("MIAO_FAULT"); }

  std::string model() const { return dir_ / "model.gguf"; }
  std::string small() const { return dir_ / "out" / "small.gguf"; }
  Outcome with_fault(const std::string& fault, const std::vector<std::string>& arguments) {
    ::setenv("MIAO_FAULT", fault.c_str(), 1);
    Outcome out = run(arguments);
    ::unsetenv("MIAO_FAULT");
    return out;
  }
  std::vector<std::string> quantize(std::vector<std::string> flags) const {
    std::vector<std::string> out{"quantize", model(), "-o", small(), "--windows", "4", "--window", "32"};
    out.insert(out.end(), flags.begin(), flags.end());
    return out;
  }
  // Names in the folder of the output.
  std::vector<std::string> left() const {
    std::vector<std::string> out;
    for (fs::directory_iterator at(dir_ / "out"), end; at != end; ++at) out.push_back(at->path().filename());
    std::ranges::sort(out);
    return out;
  }
  // Writes another value over one of a tensor's weights in the model's file.
  void damage(const std::string& tensor, int64_t row, int64_t column, float value) {
    std::string file = *read_file(model());
    size_t at = 0;
    {
      const auto checkpoint = io::Checkpoint::open(model());
      ASSERT_TRUE(checkpoint.ok());
      const TensorView* const t = checkpoint->find(tensor);
      ASSERT_TRUE(t && t->dtype == DType::f32) << tensor;
      const std::string bytes(reinterpret_cast<const char*>(t->row(row)), static_cast<size_t>(4 * t->cols()));
      at = file.find(bytes);
      ASSERT_NE(at, std::string::npos);
    }
    std::memcpy(file.data() + at + 4 * column, &value, sizeof value);
    ASSERT_TRUE(write_file_atomic(model(), file).ok());
  }
};

TEST_F(Reliability, AKilledQuantizeLeavesNothingOrTheWholeFile) {
  const std::vector<std::string> plain = quantize({"--type", "Q4_0"}),
                                 gptq = quantize({"--type", "Q4_0", "--calibration", dir_ / "text.txt"});
  fs::create_directories(dir_ / "out");
  for (const auto& [command, fault] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{{plain, "file.reserve:1"},
                                                                     {plain, "file.write:1"},
                                                                     {plain, "file.write:9"},
                                                                     {plain, "file.flush:1"},
                                                                     {plain, "file.rename:1"},
                                                                     {plain, "file.renamed:1"},
                                                                     {gptq, "gptq.matrix:1"},
                                                                     {gptq, "gptq.matrix:6"},
                                                                     {gptq, "file.write:12"},
                                                                     {gptq, "file.rename:1"}}) {
    ASSERT_EQ(run(command).code, kOk);
    const std::string whole = get("out/small.gguf");
    fs::remove(small());
    for (const bool earlier : {false, true}) {  // an earlier file under the name is replaced whole or not at all
      if (earlier) put("out/small.gguf", "an earlier file");
      ASSERT_EQ(with_fault(fault + ":kill", command).code, kKilled) << fault;
      if (fault == "file.renamed:1") {
        EXPECT_EQ(get("out/small.gguf"), whole);
        EXPECT_EQ(run({"verify", small()}).code, kOk);
      } else {
        EXPECT_EQ(get("out/small.gguf"), earlier ? "an earlier file" : "") << fault;
      }
      ASSERT_EQ(run(command).code, kOk) << fault;
      EXPECT_EQ(get("out/small.gguf"), whole) << fault;
      EXPECT_EQ(left(), std::vector<std::string>{"small.gguf"}) << fault;
    }
  }
}

TEST_F(Reliability, AFullDiskIsAnErrorThatLeavesNothing) {
  fs::create_directories(dir_ / "out");
  for (const std::string& earlier : {"", "an earlier file"}) {
    for (const char* fault : {"file.reserve:1:full", "file.write:1:full", "file.write:9:full", "file.flush:1:full"}) {
      if (!earlier.empty()) put("out/small.gguf", earlier);
      const Outcome full = with_fault(fault, quantize({"--type", "Q8_0"}));
      EXPECT_EQ(full.code, kFailed) << fault;
      EXPECT_NE(full.err.find("small.gguf: "), std::string::npos) << full.err;
      EXPECT_NE(full.err.find("No space left on device; make room there"), std::string::npos) << full.err;
      EXPECT_EQ(get("out/small.gguf"), earlier) << fault;
      EXPECT_EQ(left().size(), earlier.empty() ? 0u : 1u) << fault;
    }
  }
}

TEST_F(Reliability, ALimitOfFileSizesIsAnErrorThatLeavesNothing) {
  fs::create_directories(dir_ / "out");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small_files{16'384, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small_files), 0);
  const Outcome full = run(quantize({"--type", "Q8_0"}));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(full.code, kFailed);
  EXPECT_NE(full.err.find("ulimit -f"), std::string::npos) << full.err;
  EXPECT_TRUE(left().empty());
}

TEST_F(Reliability, WeightsThatAreNoNumbersAreNamed) {
  fs::create_directories(dir_ / "out");
  struct Case {
    const char* tensor;
    int64_t row, column;
    float value;
    const char* word;
  };
  const float infinity = std::numeric_limits<float>::infinity();
  for (const Case& c : {Case{"blk.1.ffn_up.weight", 5, 3, NAN, "NaN"},
                        {"blk.0.attn_q.weight", 2, 0, -infinity, "inf"},
                        {"output_norm.weight", 0, 7, NAN, "NaN"}}) {  // which is copied
    ASSERT_TRUE(runtime::talking_model().write(model()).ok());
    damage(c.tensor, c.row, c.column, c.value);
    for (const std::vector<std::string>& flags :
         {std::vector<std::string>{"--type", "Q4_K_M"},
          {"--type", "Q8_0", "--rounding", "nearest"},
          {"--type", "F16"},
          {"--type", "BF16"},
          {"--type", "F32"},
          {"--type", "Q4_0", "--calibration", dir_ / "text.txt"},
          {"--type", "Q4_0", "--calibration", "own"},
          {"--type", "Q4_0", "--calibration", dir_ / "text.txt", "--rounding", "importance"}}) {
      const Outcome bad = run(quantize(flags));
      EXPECT_EQ(bad.code, kFailed) << flags[1];
      const std::string place =
          std::string(c.tensor) + ": row " + std::to_string(c.row) + ": value " + std::to_string(c.column) + " is ";
      EXPECT_NE(bad.err.find(place), std::string::npos) << flags[1] << ": " << bad.err;
      EXPECT_NE(bad.err.find(c.word), std::string::npos) << bad.err;
      EXPECT_TRUE(left().empty());
    }
    const Outcome searched =
        run({"compress", model(), "-o", dir_ / "out" / "folder", "--max-size", "50%", "--text", dir_ / "text.txt"});
    EXPECT_EQ(searched.code, kFailed);
    EXPECT_NE(searched.err.find(std::string(c.tensor) + ": row " + std::to_string(c.row)), std::string::npos)
        << searched.err;
    EXPECT_FALSE(fs::exists(dir_ / "out" / "folder" / "model.gguf"));
    fs::remove_all(dir_ / "out" / "folder");
  }
}

TEST_F(Reliability, WhatF16CannotHoldIsAnError) {
  fs::create_directories(dir_ / "out");
  damage("blk.1.ffn_down.weight", 4, 2, 70'000);
  const Outcome bad = run(quantize({"--type", "F16"}));
  EXPECT_EQ(bad.code, kFailed);
  EXPECT_NE(bad.err.find("blk.1.ffn_down.weight: row 4: value 2 is 70000.000000, beyond the range of F16"),
            std::string::npos)
      << bad.err;
  EXPECT_TRUE(left().empty());
  EXPECT_EQ(run(quantize({"--type", "F16", "--tensor-type", "blk.1.ffn_down=BF16"})).code, kOk);
  EXPECT_EQ(run({"verify", small()}).code, kOk);
}

class SlowReliability : public Reliability {
 protected:
  // Without budgets of speed the search is a function of the model and the text alone.
  std::vector<std::string> compress() const {
    return {"compress", model(),          "-o",         dir_ / "out", "--prompt", "32", "--gen",  "8",
            "--types",  "Q4_0,Q5_0,Q8_0", "--max-size", "60%",        "--tries",  "2",  "--text", dir_ / "text.txt"};
  }
  void start_anew() {
    fs::remove_all(dir_ / "out");
    fs::remove_all(dir_ / "cache");
  }
  void expect_whole_or_none(const std::string& whole) {
    if (!fs::exists(dir_ / "out" / "model.gguf")) return;
    EXPECT_EQ(get("out/model.gguf"), whole);
    EXPECT_EQ(run({"verify", dir_ / "out" / "model.gguf"}).code, kOk);
  }
};

TEST_F(SlowReliability, AKilledSearchGoesOnToTheSameBytes) {
  const Outcome undisturbed = run(compress());
  ASSERT_EQ(undisturbed.code, kOk) << undisturbed.err;
  const std::string whole = get("out/model.gguf"), types = get("out/types.txt");
  ASSERT_FALSE(whole.empty());
  // Files: the importance matrix, the candidate, its types.
  for (const char* fault :
       {"measurement.kept:1:kill", "measurement.kept:3:kill", "gptq.matrix:2:kill", "file.write:40:kill",
        "file.rename:2:kill", "file.renamed:2:kill", "compress.candidate:1:kill", "file.renamed:3:kill",
        "file.write:70:full", "measurement.kept:2:interrupt", "gptq.matrix:1:interrupt"}) {
    start_anew();
    const Outcome disturbed = with_fault(fault, compress());
    const std::string how = std::string(fault).substr(std::string(fault).rfind(':') + 1);
    EXPECT_EQ(disturbed.code, how == "kill" ? kKilled : how == "full" ? kFailed : kInterrupted) << fault;
    if (how == "full") {
      EXPECT_NE(disturbed.err.find("make room there"), std::string::npos) << disturbed.err;
    }
    expect_whole_or_none(whole);
    const auto kept = compress::Measurements::open(compress::store_file(dir_ / "cache"));
    ASSERT_TRUE(kept.ok());
    if (!std::string_view(fault).starts_with("file.write")) EXPECT_GE(kept->size(), 1) << fault;
    const Outcome again = run(compress());
    ASSERT_EQ(again.code, kOk) << fault << again.err;
    EXPECT_EQ(get("out/model.gguf"), whole) << fault;
    EXPECT_EQ(get("out/types.txt"), types) << fault;
    EXPECT_FALSE(fs::exists(dir_ / "out" / ".miao-compress")) << fault;
  }
}

}  // namespace
}  // namespace miao::cli

#include "runtime/defaults.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace miao::runtime {
namespace {

namespace fs = std::filesystem;

// A Hugging Face directory with one tensor and this generation_config.json (none when empty).
class Directory {
 public:
  explicit Directory(const std::string& config) {
    static int count = 0;
    path_ = fs::temp_directory_path() / ("miao_defaults_" + std::to_string(getpid()) + "_" + std::to_string(count++));
    fs::create_directories(path_);
    std::ofstream(path_ / "config.json") << R"({"architectures": ["LlamaForCausalLM"]})";
    const std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    std::string bytes(8, '\0');
    bytes[0] = static_cast<char>(header.size());
    std::ofstream(path_ / "model.safetensors", std::ios::binary) << bytes + header + std::string(4, '\0');
    if (!config.empty()) std::ofstream(path_ / "generation_config.json") << config;
  }
  ~Directory() { fs::remove_all(path_); }

  Result<GenerationDefaults> defaults() const {
    MIAO_TRY(const io::Checkpoint checkpoint, io::Checkpoint::open(path_));
    return generation_defaults(checkpoint);
  }

 private:
  fs::path path_;
};

TEST(Defaults, WithoutFileTheUsualOnes) {
  for (const char* config : {"", R"({"eos_token_id": 2})"}) {
    const auto d = Directory(config).defaults();
    ASSERT_TRUE(d.ok()) << d.error().str();
    EXPECT_FALSE(d->from_file);
    EXPECT_FLOAT_EQ(d->sampling.temperature, 0.8f);
    EXPECT_EQ(d->sampling.top_k, 40);
    EXPECT_EQ(d->stop_tokens.size(), config[0] ? 1u : 0u);
  }
}

TEST(Defaults, GenerationConfig) {
  const auto d = Directory(R"({"do_sample": true, "temperature": 0.6, "top_p": 0.9, "top_k": null,
                               "repetition_penalty": 1.1, "eos_token_id": [7, 9]})")
                     .defaults();
  ASSERT_TRUE(d.ok()) << d.error().str();
  EXPECT_TRUE(d->from_file);
  EXPECT_FLOAT_EQ(d->sampling.temperature, 0.6f);
  EXPECT_FLOAT_EQ(d->sampling.top_p, 0.9f);
  EXPECT_EQ(d->sampling.top_k, 50);
  EXPECT_FLOAT_EQ(d->sampling.min_p, 0);
  EXPECT_FLOAT_EQ(d->sampling.repeat_penalty, 1.1f);
  EXPECT_EQ(d->sampling.penalty_last_n, -1);
  EXPECT_EQ(d->stop_tokens, (std::vector<int32_t>{7, 9}));
  const auto greedy = Directory(R"({"do_sample": false, "temperature": 0.6})").defaults();
  ASSERT_TRUE(greedy.ok());
  EXPECT_TRUE(greedy->sampling.greedy());
}

TEST(Defaults, BadFilesAreErrors) {
  for (const char* config : {"{", "[]", R"({"temperature": "hot"})", R"({"eos_token_id": "x"})", R"({"top_k": 1.5})"}) {
    EXPECT_FALSE(Directory(config).defaults().ok()) << config;
  }
}

}  // namespace
}  // namespace miao::runtime

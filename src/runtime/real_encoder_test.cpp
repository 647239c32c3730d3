// A real encoder: all-MiniLM-L6-v2, found as all-MiniLM-L6-v2 in the directory that MIAO_TEST_MODELS names; skipped
// without it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/env.h"
#include "base/file.h"
#include "runtime/embed.h"
#include "runtime/encoder.h"

namespace miao::runtime {
namespace {

// Sentences of many lengths: the lines of these documents.
std::vector<std::string> lines() {
  std::vector<std::string> out;
  for (const char* name : {"README.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md", "LICENSE"}) {
    const auto text = read_file(std::filesystem::path(MIAO_SOURCE_DIR) / name);
    EXPECT_TRUE(text.ok());
    for (size_t at = 0, end; at < text->size(); at = end + 1) {
      end = std::min(text->find('\n', at), text->size());
      if (end - at > 20) out.push_back(text->substr(at, end - at));
    }
  }
  return out;
}

// Rows have length 1, so a product is a cosine.
TEST(SlowRealEncoder, Int8IsCloseToFp32) {
  const auto models = env("MIAO_TEST_MODELS");
  if (!models) GTEST_SKIP() << "MIAO_TEST_MODELS is not set";
  const std::filesystem::path path = std::filesystem::path(*models) / "all-MiniLM-L6-v2";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " does not exist";
  const std::vector<std::string> texts = lines();
  const auto vectors = [&](Compute compute) {
    auto encoder = Encoder::open(path, {.compute = compute, .rows = models::Rows::sentence});
    EXPECT_TRUE(encoder.ok()) << encoder.error().str();
    auto out = embed(**encoder, texts, {.truncate = true});
    EXPECT_TRUE(out.ok()) << out.error().str();
    return std::move(*out);
  };
  const std::vector<float> exact = vectors(Compute::f32), fast = vectors(Compute::int8);
  ASSERT_EQ(exact.size(), fast.size());
  const size_t dim = exact.size() / texts.size();
  double least = 1, sum = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    double cosine = 0;
    for (size_t d = i * dim; d < (i + 1) * dim; ++d) cosine += double{exact[d]} * double{fast[d]};
    least = std::min(least, cosine);
    sum += cosine;
  }
  EXPECT_GT(sum / static_cast<double>(texts.size()), 0.9992);
  EXPECT_GT(least, 0.998);
}

}  // namespace
}  // namespace miao::runtime

// Whisper base, found as whisper-base (CTranslate2's form) in the folder that MIAO_TEST_MODELS names, and espeak-ng,
// which speaks; skipped without them. tools/compare_whisper.py compares more, and with faster-whisper.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/env.h"
#include "io/testing.h"
#include "runtime/transcribe.h"

namespace miao::runtime {
namespace {

class SlowRealWhisper : public testing::Test {
 protected:
  void SetUp() override {
    const auto models = env("MIAO_TEST_MODELS");
    if (!models) GTEST_SKIP() << "MIAO_TEST_MODELS is not set";
    path_ = std::filesystem::path(*models) / "whisper-base";
    if (!std::filesystem::exists(path_)) GTEST_SKIP() << path_ << " does not exist";
    if (std::system("espeak-ng --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "espeak-ng is not installed";
  }
  std::filesystem::path say(const std::string& voice, const std::string& text) const {
    const auto file = dir_ / "said.wav";
    const std::string command = "espeak-ng -s 150 -v " + voice + " -w " + file.string() + " \"" + text + "\"";
    EXPECT_EQ(std::system(command.c_str()), 0);
    return file;
  }

  const io::TempDir dir_;
  std::filesystem::path path_;
};

TEST_F(SlowRealWhisper, HearsWhatIsSaid) {
  for (const Compute compute : {Compute::f32, Compute::int8}) {
    auto engine = Engine::open(path_, {.compute = compute});
    ASSERT_TRUE(engine.ok()) << engine.error().str();
    auto whisper = Transcriber::of(**engine);
    ASSERT_TRUE(whisper.ok()) << whisper.error().str();
    const auto english = whisper->run_file(say("en-gb", "The train to the city leaves from platform four."));
    ASSERT_TRUE(english.ok()) << english.error().str();
    EXPECT_EQ(english->language, "en");
    EXPECT_EQ(english->text(), "The train to the city leaves from platform 4.");
    const auto french = whisper->run_file(say("fr-fr", "La biblioth\u00e8que est ferm\u00e9e le dimanche."));
    ASSERT_TRUE(french.ok()) << french.error().str();
    EXPECT_EQ(french->language, "fr");
    EXPECT_NE(french->text().find("le dimanche"), std::string::npos) << french->text();
    EXPECT_LT(french->segments.at(0).no_speech, 0.6);
  }
}

}  // namespace
}  // namespace miao::runtime

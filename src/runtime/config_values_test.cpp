// Every value of every golden model's configuration replaced by values that no model has: a model opens and runs, or
// says what is wrong. Nothing ends the process, whatever the plans of memory were made from.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "io/testing.h"
#include "runtime/beam_search.h"
#include "runtime/encoder.h"
#include "runtime/engine.h"

namespace miao::runtime {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden";

void run(const std::filesystem::path& folder) {
  const auto shape = model_shape(folder);
  if (!shape.ok()) return;
  const std::vector<int32_t> ids{1, 4, 2, 5};
  if (*shape == models::ModelSpec::Shape::encoder) {
    const auto encoder = Encoder::open(folder, {.threads = 1});
    if (encoder.ok()) (void)(*encoder)->run({{{.ids = ids}}});
    return;
  }
  const auto engine = Engine::open(folder, {.threads = 1});
  if (!engine.ok()) return;
  std::vector<Sequence> memory;
  if ((*engine)->spec().encoder) {
    const std::vector<float> features(static_cast<size_t>(8 * (*engine)->spec().encoder->features));
    auto read = (*engine)->encode({{{.ids = ids, .features = features}}});
    if (!read.ok()) return;
    memory = std::move(*read);
  }
  const BeamInput start{.memory = memory.empty() ? nullptr : memory.data(), .prefix = {1, 2}};
  (void)beam_search(**engine, {&start, 1}, {.beams = 2, .max_tokens = 3});
}

// Puts each replacement in the place of each value, one at a time.
void replace_values(const Json& config, const std::filesystem::path& file, const std::filesystem::path& folder) {
  const Json replacements[] = {nullptr,
                               0,
                               1,
                               -1,
                               2,
                               3,
                               7,
                               64,
                               100000,
                               int64_t{1} << 40,
                               0.5,
                               -1e300,
                               "",
                               "x",
                               true,
                               Json::array(),
                               Json::array({1, 2}),
                               Json::object()};
  for (const auto& [key, value] : config.items()) {
    if (key == "architectures" || key == "transformers_version" || key == "model_type") continue;
    for (const Json& replacement : replacements) {
      Json changed = config;
      changed[key] = replacement;
      std::ofstream(file) << changed.dump();
      SCOPED_TRACE(key + " = " + replacement.dump());
      run(folder);
    }
  }
}

class SlowConfigs : public ::testing::TestWithParam<std::string> {};

TEST_P(SlowConfigs, AnyValueIsAnAnswerOrAnError) {
  const io::TempDir dir;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden / GetParam())) {
    if (!entry.is_directory() || !std::filesystem::exists(entry.path() / "config.json")) continue;
    // One of a family: its other cases differ in values alone.
    const std::string name = entry.path().filename().string();
    if (GetParam() != "seq2seq" && name.find('-') != std::string::npos) continue;
    const auto folder = dir / name.c_str();
    std::filesystem::copy(entry.path(), folder, std::filesystem::copy_options::recursive);
    std::filesystem::remove(folder / "model.gguf");
    SCOPED_TRACE(name);
    const auto file = folder / "config.json";
    const auto text = read_file(file);
    ASSERT_TRUE(text.ok());
    replace_values(*parse_json(*text, "config.json"), file, folder);
  }
}

INSTANTIATE_TEST_SUITE_P(SlowGolden, SlowConfigs, ::testing::Values("models", "encoders", "seq2seq"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace miao::runtime

// Logits against those of transformers in FP32 on tiny random models, for every model of tests/golden/models, from both
// kinds of files, with the kernels of every instruction set of this processor.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/file.h"
#include "base/json.h"
#include "io/npy.h"
#include "kernels/kernels.h"
#include "runtime/engine.h"
#include "runtime/test_golden.h"

namespace miao::runtime {
namespace {

const std::filesystem::path kModels = std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/models";

void check_run(const Json& c, const std::filesystem::path& model, const Json& run, const std::string& isa) {
  const auto ids = run["ids"].get<std::vector<int32_t>>();
  const auto positions = run["positions"].get<std::vector<int64_t>>();
  EngineOptions options;
  options.threads = 1;
  options.kv = kernels::KvType::f32;
  options.ctx = static_cast<int64_t>(ids.size());
  options.chunk = 64;
  options.isa = isa;
  auto engine = Engine::open(model, options);
  ASSERT_TRUE(engine.ok()) << engine.error().str();
  Sequence sequence = (*engine)->new_sequence();
  auto logits = (*engine)->forward(sequence, ids, Want::all);
  ASSERT_TRUE(logits.ok()) << logits.error().str();
  auto golden = io::read_npy(kModels / c["name"].get<std::string>() / run["logits"].get<std::string>());
  ASSERT_TRUE(golden.ok()) << golden.error().str();
  ASSERT_EQ(golden->rows, static_cast<int64_t>(positions.size()));
  ASSERT_EQ(golden->cols, logits->vocab());
  Difference difference;
  for (size_t i = 0; i < positions.size(); ++i)
    difference.add(golden->row(static_cast<int64_t>(i)), logits->row(positions[i]));
  expect_close(c, model, difference);
}

TEST(Golden, LogitsOfTransformers) {
  const Json cases = golden_manifest(kModels)["cases"];
  ASSERT_GE(cases.size(), 10u);
  for (const Json& c : cases) {
    const std::filesystem::path folder = kModels / c["name"].get<std::string>();
    for (const std::string& isa : isas()) {
      for (const Json& run : c["runs"]) {
        const auto name = run["name"].get<std::string>();
        SCOPED_TRACE(c["name"].get<std::string>() + " " + name + " " + isa);
        check_run(c, folder, run, isa);
        if (!c.contains("gguf") || c["gguf"].is_null()) continue;
        for (const Json& same : c["gguf"]["runs"]) {
          SCOPED_TRACE("GGUF");
          if (same == name) check_run(c, folder / c["gguf"]["file"].get<std::string>(), run, isa);
        }
      }
    }
  }
}

}  // namespace
}  // namespace miao::runtime

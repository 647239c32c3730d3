// Logits against those of transformers in FP32 on tiny random models, for every model of tests/golden/models, from both
// kinds of files, with the kernels of every instruction set of this processor.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/file.h"
#include "base/json.h"
#include "io/npy.h"
#include "kernels/kernels.h"
#include "runtime/engine.h"

namespace miao::runtime {
namespace {

const std::filesystem::path kModels = std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/models";
constexpr double kTolerance = 1e-5;  // of the largest logit

Json manifest() {
  auto text = read_file(kModels / "manifest.json");
  EXPECT_TRUE(text.ok());
  auto json = parse_json(*text, "manifest.json");
  EXPECT_TRUE(json.ok());
  return *json;
}

std::vector<std::string> isas() {
  const kernels::Kernels* tables[static_cast<size_t>(kernels::Isa::count)];
  const int n = kernels::available(cpu_features(), tables);
  std::vector<std::string> out;
  for (int i = 0; i < n; ++i) out.emplace_back(tables[i]->name);
  return out;
}

void check_run(const std::filesystem::path& model, const std::filesystem::path& folder, const Json& run,
               const std::string& isa) {
  const auto ids = run["ids"].get<std::vector<int32_t>>();
  const auto positions = run["positions"].get<std::vector<int64_t>>();
  EngineOptions options;
  options.threads = 1;
  options.kv = DType::f32;
  options.ctx = static_cast<int64_t>(ids.size());
  options.chunk = 64;
  options.isa = isa;
  auto engine = Engine::open(model, options);
  ASSERT_TRUE(engine.ok()) << engine.error().str();
  Sequence sequence = (*engine)->new_sequence();
  auto logits = (*engine)->forward(sequence, ids, Want::all);
  ASSERT_TRUE(logits.ok()) << logits.error().str();
  auto golden = io::read_npy(folder / run["logits"].get<std::string>());
  ASSERT_TRUE(golden.ok()) << golden.error().str();
  ASSERT_EQ(golden->rows, static_cast<int64_t>(positions.size()));
  ASSERT_EQ(golden->cols, logits->vocab());
  double largest = 0;
  double worst = 0;
  for (size_t i = 0; i < positions.size(); ++i) {
    const auto want = golden->row(static_cast<int64_t>(i));
    const auto got = logits->row(positions[i]);
    for (size_t j = 0; j < want.size(); ++j) {
      largest = std::max(largest, std::fabs(static_cast<double>(want[j])));
      const double difference = std::fabs(static_cast<double>(want[j]) - static_cast<double>(got[j]));
      worst = difference <= worst ? worst : difference;  // keeps a NaN
    }
  }
  EXPECT_LE(worst, kTolerance * largest) << "largest logit " << largest;
}

TEST(Golden, LogitsOfTransformers) {
  const Json cases = manifest()["cases"];
  ASSERT_GE(cases.size(), 10u);
  for (const Json& c : cases) {
    const std::filesystem::path folder = kModels / c["name"].get<std::string>();
    for (const std::string& isa : isas()) {
      for (const Json& run : c["runs"]) {
        const auto name = run["name"].get<std::string>();
        SCOPED_TRACE(c["name"].get<std::string>() + " " + name + " " + isa);
        check_run(folder, folder, run, isa);
        if (!c.contains("gguf") || c["gguf"].is_null()) continue;
        for (const Json& same : c["gguf"]["runs"]) {
          SCOPED_TRACE("GGUF");
          if (same == name) check_run(folder / c["gguf"]["file"].get<std::string>(), folder, run, isa);
        }
      }
    }
  }
}

}  // namespace
}  // namespace miao::runtime

// Converted models run as what they were made from: logits of the golden GGUF files bit for bit, and of the directories
// bit for bit where the rows of q and k stand as they did.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "io/testing.h"
#include "models/convert_testing.h"
#include "runtime/encoder.h"
#include "runtime/engine.h"
#include "runtime/test_golden.h"

namespace miao::runtime {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(MIAO_SOURCE_DIR) / "tests/golden";

Result<void> convert(const fs::path& from, const fs::path& to) {
  MIAO_TRY(const io::Checkpoint checkpoint, io::Checkpoint::open(from));
  MIAO_TRY(models::Converted converted, models::to_gguf(checkpoint));
  return models::write_converted(std::move(converted), to);
}

template <class Rows>
std::vector<float> all_of(const Rows& logits) {
  std::vector<float> out;
  for (int64_t t = 0; t < logits.rows(); ++t) out.insert(out.end(), logits.row(t).begin(), logits.row(t).end());
  return out;
}

std::vector<float> logits_of(const fs::path& model, const std::vector<int32_t>& ids) {
  auto engine = Engine::open(model, {.threads = 1, .kv = kernels::KvType::f32});
  EXPECT_TRUE(engine.ok()) << engine.error().str();
  Sequence sequence = (*engine)->new_sequence();
  auto logits = (*engine)->forward(sequence, ids, Want::all);
  EXPECT_TRUE(logits.ok()) << logits.error().str();
  return all_of(*logits);
}

std::vector<float> answers_of(const fs::path& model, const Json& input) {
  auto engine = Engine::open(model, {.threads = 1, .kv = kernels::KvType::f32});
  EXPECT_TRUE(engine.ok()) << engine.error().str();
  const auto ids = input["ids"].get<std::vector<int32_t>>();
  auto memory = (*engine)->encode(std::vector<EncoderInput>{{.ids = ids}});
  EXPECT_TRUE(memory.ok());
  Sequence sequence = (*engine)->new_sequence();
  auto logits =
      (*engine)->forward(sequence, input["decoder_ids"].get<std::vector<int32_t>>(), Want::all, &memory->front());
  EXPECT_TRUE(logits.ok());
  return all_of(*logits);
}

std::vector<float> rows_of(const fs::path& model, const Json& c) {
  EncoderOptions options{.threads = 1};
  if (c["architecture"].get<std::string>().ends_with("Model")) options.rows = models::Rows::tokens;
  auto encoder = Encoder::open(model, options);
  EXPECT_TRUE(encoder.ok()) << encoder.error().str();
  const Json& input = c["inputs"].back();
  const auto ids = input["ids"].get<std::vector<int32_t>>(), types = input["types"].get<std::vector<int32_t>>();
  const std::vector<EncoderInput> inputs = {{ids, types}};
  auto encoded = (*encoder)->run(inputs);
  EXPECT_TRUE(encoded.ok()) << encoded.error().str();
  std::vector<float> out;
  for (int64_t r = 0; r < encoded->rows(0); ++r)
    out.insert(out.end(), encoded->row(0, r).begin(), encoded->row(0, r).end());
  return out;
}

TEST(ConvertGolden, LogitsOfDecoders) {
  const Json manifest = golden_manifest(kGolden / "models");
  size_t moved = 0;
  for (const Json& c : manifest["cases"]) {
    if (!c.contains("gguf") || c["gguf"].is_null()) continue;
    const auto name = c["name"].get<std::string>();
    SCOPED_TRACE(name);
    const io::TempDir dir;
    const auto done = convert(kGolden / "models" / name, dir / "m.gguf");
    ASSERT_TRUE(done.ok()) << done.error().str();
    const auto ids = c["runs"][0]["ids"].get<std::vector<int32_t>>();
    const std::vector<float> own = logits_of(dir / "m.gguf", ids);
    EXPECT_EQ(own, logits_of(kGolden / "models" / name / "model.gguf", ids));
    const std::vector<float> source = logits_of(kGolden / "models" / name, ids);
    const auto written = io::Checkpoint::open(dir / "m.gguf");
    const std::string_view architecture = *written->meta().string("general.architecture");
    if (architecture == "llama" || architecture == "granite" || architecture == "smollm3") {  // sums in another order
      Difference difference;
      difference.add(source, own);
      EXPECT_LE(difference.worst, 1e-5 * difference.largest);
      continue;
    }
    ++moved;
    EXPECT_EQ(own, source);
  }
  EXPECT_GE(moved, 15u);
}

TEST(ConvertGolden, RowsOfEncoders) {
  const Json manifest = golden_manifest(kGolden / "encoders");
  for (const Json& c : manifest["cases"]) {
    const auto name = c["name"].get<std::string>();
    const bool written = c["gguf"].get<bool>();
    if (!written && name != "bert-sequence" && name != "camembert" && name != "camembert-sequence") continue;
    SCOPED_TRACE(name);
    const io::TempDir dir;
    const auto done = convert(kGolden / "encoders" / name, dir / "m.gguf");
    ASSERT_TRUE(done.ok()) << done.error().str();
    const std::vector<float> own = rows_of(dir / "m.gguf", c);
    EXPECT_EQ(own, rows_of(kGolden / "encoders" / name, c));
    if (written) EXPECT_EQ(own, rows_of(kGolden / "encoders" / name / "model.gguf", c));
  }
}

// With the farthest distance that GGUF files mean.
TEST(ConvertGolden, LogitsOfEncoderDecoders) {
  const Json manifest = golden_manifest(kGolden / "seq2seq");
  for (const Json& c : manifest["cases"]) {
    const auto name = c["name"].get<std::string>();
    if (name != "t5" && name != "flan-t5") continue;
    SCOPED_TRACE(name);
    const io::TempDir dir;
    fs::copy_file(kGolden / "seq2seq" / name / "model.safetensors", dir / "model.safetensors");
    Json config = *parse_json(*read_file(kGolden / "seq2seq" / name / "config.json"), "config");
    config["relative_attention_max_distance"] = 128;
    ASSERT_TRUE(write_file_atomic(dir / "config.json", dump_json(config)).ok());
    const auto done = convert(dir.path(), dir / "m.gguf");
    ASSERT_TRUE(done.ok()) << done.error().str();
    const Json& input = c["inputs"][0];
    EXPECT_EQ(answers_of(dir / "m.gguf", input), answers_of(dir.path(), input));
  }
}

}  // namespace
}  // namespace miao::runtime

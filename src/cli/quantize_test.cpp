// miao quantize and miao verify as a user meets them.
#include <algorithm>

#include "base/json.h"
#include "cli/testing.h"
#include "io/checkpoint.h"
#include "runtime/encoder_testing.h"

namespace miao::cli {
namespace {

class QuantizeVerb : public Cli {
 protected:
  QuantizeVerb() { EXPECT_TRUE(runtime::talking_model().write(model()).ok()); }
  std::string model() const { return dir_ / "model.gguf"; }
  std::string small() const { return dir_ / "small.gguf"; }
  void expect_error(std::vector<std::string> arguments, std::string_view words, int code) {
    arguments.insert(arguments.begin(), "quantize");
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_FALSE(fs::exists(small()));
  }
};

TEST_F(QuantizeVerb, WritesAFileThatVerifyAccepts) {
  const Outcome shown = run({"quantize", model(), "-o", small(), "--type", "q4_k_m"});
  ASSERT_EQ(shown.code, kOk) << shown.err;
  EXPECT_NE(shown.out.find("blk.*.ffn_up.weight"), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("are not what Q4_K_M says"), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("bits a weight"), std::string::npos) << shown.out;
  const Outcome good = run({"verify", small()});
  EXPECT_EQ(good.code, kOk) << good.err << good.out;
  EXPECT_NE(good.out.find("bit for bit"), std::string::npos) << good.out;
  EXPECT_EQ(run({"run", small(), "hello", "-n", "3"}).code, kOk);
  const Outcome nothing = run({"verify", model(), "--json"});
  EXPECT_EQ(nothing.code, kFailed);
  EXPECT_FALSE(Json::parse(nothing.out)["good"].get<bool>());
}

TEST_F(QuantizeVerb, KeysAndValuesThatTheFileAsksFor) {
  ASSERT_EQ(run({"quantize", model(), "-o", small(), "--type", "q8_0", "--kv", "int4"}).code, kOk);
  const auto kv = [&](std::vector<std::string> more) {
    std::vector<std::string> line = {"bench", small(), "-p", "8", "-n", "2", "--reps", "1", "--json"};
    line.insert(line.end(), more.begin(), more.end());
    const Outcome outcome = run(line);
    EXPECT_EQ(outcome.code, kOk) << outcome.err;
    return Json::parse(outcome.out)["kv"].get<std::string>();
  };
  EXPECT_EQ(kv({}), "INT4");
  EXPECT_EQ(kv({"--kv", "f16"}), "F16");
  fs::remove(small());
  expect_error(
      {fs::path(MIAO_SOURCE_DIR) / "tests/golden/encoders/bert", "-o", small(), "--type", "Q8_0", "--kv", "int8"},
      "keeps no keys and values", kFailed);
}

TEST_F(QuantizeVerb, ChangedBeforeItIsRounded) {
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += "the cat number " + std::to_string(i * i) + " sat on mat " + std::to_string(i) + "\n";
  put("text.txt", text);
  const std::vector<std::string> line{"quantize",      model(),           "-o",      small(),     "--type",
                                      "q8_0",          "--window",        "32",      "--windows", "8",
                                      "--calibration", dir_ / "text.txt", "--rotate"};
  const Outcome done = run(line);
  ASSERT_EQ(done.code, kOk) << done.err;
  EXPECT_EQ(run({"verify", small()}).code, kOk);
  const auto written = io::Checkpoint::open(small());
  ASSERT_TRUE(written.ok());
  EXPECT_TRUE(written->meta().has("miao.quantize.rotated") && written->meta().has("miao.quantize.scaled"));
  const Json lost = Json::parse(
      run({"eval", small(), "--against", model(), "--text", dir_ / "text.txt", "--ctx", "32", "--json"}).out);
  EXPECT_LT(lost["kld_mean"].get<double>(), 0.05);
  fs::remove(small());
  expect_error({model(), "--type", "q8_0", "--rotate", "--dry-run"}, "leave --rotate out", kUsage);
  expect_error({model(), "-o", small(), "--type", "q8_0", "--rotate", "--importance", "x.gguf"}, "--importance is of",
               kUsage);
  const std::string bert = fs::path(MIAO_SOURCE_DIR) / "tests/golden/encoders/bert";
  expect_error({bert, "-o", dir_ / "other/", "--type", "BF16", "--rotate"}, "folders hold a model as it is", kFailed);
  expect_error({bert, "-o", small(), "--type", "Q8_0", "--rotate"}, "only decoders are rotated", kFailed);
}

TEST_F(QuantizeVerb, CalibrationOfEachKind) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "the cat sat " + std::to_string(i) + "\n";
  ASSERT_TRUE(write_file_atomic(dir_ / "text.txt", text).ok());
  const std::string importance = dir_ / "importance.gguf";
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{"--calibration", dir_ / "text.txt", "--keep-importance", importance},
        {"--calibration", "own", "--windows", "3", "--window", "32"},
        {"--importance", importance},
        {"--rounding", "nearest"}}) {
    std::vector<std::string> arguments{"quantize", model(), "-o", small(), "--type", "Q4_0", "--json"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Outcome outcome = run(arguments);
    ASSERT_EQ(outcome.code, kOk) << flags[0] << outcome.err;
    const Json json = Json::parse(outcome.out);
    EXPECT_EQ(json["mix"].get<std::string>(), "Q4_0");
    EXPECT_EQ(json["canary"].get<std::string>().size(), 64u);
    EXPECT_EQ(json["tensors"].size(), 21u);
    EXPECT_EQ(run({"verify", small(), "--quiet"}).code, kOk);
  }
}

TEST_F(QuantizeVerb, CalibrationOfAnEncoder) {
  runtime::write_tiny_bert(dir_ / "bert");
  std::string text;
  for (int i = 0; i < 200; ++i) text += "The cat sat in " + std::to_string(i) + "\n";
  ASSERT_TRUE(write_file_atomic(dir_ / "text.txt", text).ok());
  for (const char* rounding : {"gptq", "importance"}) {
    const Outcome done = run({"quantize", dir_ / "bert", "-o", small(), "--type", "Q4_0", "--rounding", rounding,
                              "--calibration", dir_ / "text.txt", "--json"});
    ASSERT_EQ(done.code, kOk) << done.err;
    EXPECT_EQ(run({"verify", small(), "--quiet"}).code, kOk);
    const auto file = *io::Checkpoint::open(small());
    EXPECT_NE((*file.meta().string("miao.quantize.calibration")).find("200 texts"), std::string_view::npos);
    EXPECT_EQ(*file.meta().string("miao.quantize.rounding"), rounding);
  }
}

TEST_F(QuantizeVerb, ADryRunWritesNothing) {
  const Outcome shown = run({"quantize", model(), "--type", "Q8_0", "--dry-run", "--tensor-type", "ffn_up=F16"});
  ASSERT_EQ(shown.code, kOk) << shown.err;
  EXPECT_NE(shown.out.find("F16"), std::string::npos);
  EXPECT_FALSE(fs::exists(small()));
}

TEST_F(QuantizeVerb, AFolderTakesTheModelInAnotherFloatingType) {
  const std::string source = fs::path(MIAO_SOURCE_DIR) / "tests/golden/encoders/bert", other = dir_ / "other/";
  const Outcome done = run({"quantize", source, "-o", other, "--type", "BF16"});
  ASSERT_EQ(done.code, kOk) << done.err;
  EXPECT_NE(done.out.find("BF16"), std::string::npos) << done.out;
  const Json config = Json::parse(get("other/config.json"));
  EXPECT_EQ(config.value("dtype", config.value("torch_dtype", "")), "bfloat16");
  EXPECT_EQ(config["architectures"], Json::parse(*read_file(fs::path(source) / "config.json"))["architectures"]);
  const auto before = io::Checkpoint::open(source), after = io::Checkpoint::open(other);
  ASSERT_TRUE(before.ok() && after.ok());
  ASSERT_EQ(after->tensors().size(), before->tensors().size());
  for (const TensorView& t : before->tensors()) {
    const TensorView* const own = after->find(t.name);
    ASSERT_TRUE(own) << t.name;
    EXPECT_EQ(own->dtype, t.dtype == DType::f32 ? DType::bf16 : t.dtype) << t.name;
    EXPECT_EQ(own->shape, t.shape);
    if (t.dtype != DType::f32) continue;
    std::vector<float> want(static_cast<size_t>(t.elements())), got(want.size());
    format(t.dtype).decode(t.data, want.data(), t.elements());
    format(own->dtype).decode(own->data, got.data(), t.elements());
    for (size_t i = 0; i < want.size(); ++i) ASSERT_EQ(got[i], bf16_to_f32(f32_to_bf16(want[i]))) << t.name;
  }
  const Outcome verified = run({"verify", other});
  EXPECT_EQ(verified.code, kOk) << verified.out << verified.err;
  EXPECT_NE(verified.out.find("written by miao"), std::string::npos) << verified.out;
  std::string bytes = get("other/model.safetensors");
  bytes[bytes.size() - 3] ^= 4;
  put("other/model.safetensors", bytes);
  EXPECT_EQ(run({"verify", other}).code, kFailed);
  EXPECT_EQ(run({"quantize", source, "-o", other, "--type", "BF16"}).code, kOk);
  EXPECT_EQ(run({"verify", other}).code, kOk);

  expect_error({source, "-o", other, "--type", "Q8_0"}, "folders hold a model as it is in F32, F16 or BF16", kFailed);
  expect_error({model(), "-o", other, "--type", "F16"}, "is no Hugging Face directory", kFailed);
  fs::copy(source, dir_ / "own", fs::copy_options::recursive);
  expect_error({dir_ / "own", "-o", dir_ / "own", "--type", "F16"}, "is the folder that is read", kFailed);
  expect_error({source, "-o", dir_ / "no/folder/", "--type", "F16"}, "cannot make the folder", kFailed);
}

TEST_F(QuantizeVerb, Misuse) {
  expect_error({fs::path(MIAO_SOURCE_DIR) / "tests/golden/encoders/bert", "-o", small(), "--type", "Q8_0",
                "--calibration", "own"},
               "encoders/bert: is an encoder and writes no text", kFailed);
  expect_error({model(), "-o", small(), "--type", "Q9"}, "is no mix of types", kUsage);
  expect_error({model(), "--type", "Q8_0"}, "say where the model goes", kUsage);
  expect_error({model(), "-o", small(), "--type", "Q8_0", "--rounding", "gptq"}, "needs calibration text", kUsage);
  expect_error({model(), "-o", small(), "--type", "Q8_0", "--rounding", "nearest", "--calibration", "own"},
               "takes no calibration", kUsage);
  expect_error({model(), "-o", small(), "--type", "Q8_0", "--tensor-type", "ffn_up"}, "NAME=TYPE", kUsage);
  expect_error({model(), "-o", small(), "--type", "Q8_0", "--calibration", dir_ / "none.txt"}, "none.txt", kFailed);
  expect_error({model(), "-o", model(), "--type", "Q8_0"}, "is the model itself", kFailed);
  expect_error({model(), "-o", dir_ / "no" / "small.gguf", "--type", "Q8_0"}, "no", kFailed);
  ASSERT_TRUE(write_file_atomic(dir_ / "short.txt", "two words").ok());
  expect_error({model(), "-o", small(), "--type", "Q8_0", "--calibration", dir_ / "short.txt"}, "tokens", kFailed);
  ASSERT_TRUE(write_file_atomic(dir_ / "empty.txt", "").ok());
  expect_error({model(), "-o", small(), "--type", "Q8_0", "--calibration", dir_ / "empty.txt"}, "empty.txt", kFailed);
}

}  // namespace
}  // namespace miao::cli

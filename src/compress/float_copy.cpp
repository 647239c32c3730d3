#include "compress/float_copy.h"

#include <algorithm>
#include <array>

#include "base/cpu.h"
#include "base/file.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "compress/canary.h"
#include "compress/round_tensor.h"
#include "io/safetensors_writer.h"
#include "io/side_files.h"

namespace miao::compress {

namespace {

constexpr std::string_view kConfig = "config.json";

const char* torch_name(DType dtype) {
  return dtype == DType::f16 ? "float16" : dtype == DType::bf16 ? "bfloat16" : "float32";
}

// What transformers takes for the type of the weights; under either name that its versions have for it.
Result<std::string> config_of(const io::Checkpoint& model, DType to) {
  MIAO_TRY(const std::optional<std::string> text, model.text_file(kConfig));
  if (!text) return Error{Code::not_found, "is missing", (model.path() / kConfig).string()};
  MIAO_TRY(Json config, parse_json(*text, (model.path() / kConfig).string()));
  config[config.contains("dtype") ? "dtype" : "torch_dtype"] = torch_name(to);
  return dump_json(config, 2) + "\n";
}

Result<void> write_tensor(io::SafetensorsWriter& file, const TensorView& t, DType to, const QuantizeOptions& options,
                          ThreadPool& pool) {
  const std::span<const std::byte> data{t.data, static_cast<size_t>(t.bytes)};
  if (to == t.dtype || t.elements() == 0) {
    if (is_float_type(t.dtype)) MIAO_CHECK_OK(check_numbers(t, pool, options.cancel));
    return file.write(t.name, data);
  }
  const auto sink = [&](int64_t, std::span<const float>, std::span<const std::byte> bytes) {
    return file.write(t.name, bytes);
  };
  return round_tensor(t, to, {.otherwise = Rounding::nearest, .cancel = options.cancel}, pool, sink);
}

}  // namespace

bool is_float_type(DType dtype) { return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16; }

Result<Quantized> plan_float_copy(const io::Checkpoint& model, DType to) {
  std::error_code error;
  if (model.kind() != io::Checkpoint::Kind::safetensors || !std::filesystem::is_directory(model.path(), error)) {
    return Error{Code::unsupported,
                 "is no Hugging Face directory, and only such become one; give the output a name that ends in .gguf",
                 model.path().string()};
  }
  Quantized out;
  for (const TensorView& t : model.tensors()) {
    const DType type = is_float_type(t.dtype) ? to : t.dtype;
    const auto bytes = static_cast<uint64_t>(t.elements() / format(type).block * format(type).bytes);
    out.tensors.push_back({t.name, t.shape, t.dtype, type, type, t.bytes, bytes});
    out.bytes_before += t.bytes;
    out.bytes += bytes;
    out.weights += t.elements();
  }
  // Those of wider elements first: all of them are aligned then.
  std::ranges::stable_sort(out.tensors, std::greater<>(), [](const auto& t) { return format(t.to).bytes; });
  return out;
}

Result<Quantized> write_float_copy(const io::Checkpoint& model, const std::filesystem::path& folder, DType to,
                                   const QuantizeOptions& options) {
  MIAO_TRY(Quantized plan, plan_float_copy(model, to));
  MIAO_TRY(const std::string config, config_of(model, to));
  MIAO_TRY(const auto pool, ThreadPool::create(options.threads ? options.threads : cpu_limits().threads()));
  const std::array except{kConfig};
  MIAO_CHECK_OK(io::copy_side_files(model.path(), folder, except));
  std::vector<io::TensorInfo> infos;
  for (const QuantizedTensor& t : plan.tensors) infos.push_back({t.name, t.to, t.shape});
  MIAO_TRY(io::SafetensorsWriter file,
           io::SafetensorsWriter::create(folder / "model.safetensors", {{std::string(kWriterKey), options.writer}},
                                         std::move(infos), options.cancel));
  uint64_t done = 0;
  for (const QuantizedTensor& t : plan.tensors) {
    if (options.progress) options.progress("tensors", done, plan.bytes_before);
    const TensorView& source = *model.find(t.name);
    if (auto written = write_tensor(file, source, t.to, options, *pool); !written.ok()) {
      return written.error().where.find('/') == std::string::npos ? std::move(written.error()).at(model.path().string())
                                                                  : std::move(written.error());
    }
    model.release({source.data, static_cast<size_t>(source.bytes)});
    done += t.bytes_before;
  }
  MIAO_CHECK_OK(file.finish());
  MIAO_CHECK_OK(write_file_atomic(folder / kConfig, config));
  MIAO_CHECK_OK(file.commit());
  return plan;
}

}  // namespace miao::compress

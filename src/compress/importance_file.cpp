// Importance matrices on disk: GGUF files as llama-imatrix writes them.
#include <cmath>
#include <cstring>

#include "compress/importance.h"
#include "io/checkpoint.h"
#include "io/gguf_writer.h"

namespace miao::compress {

namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";

Error not_ours(const std::filesystem::path& path, std::string what) {
  return {Code::invalid,
          std::move(what) + "; an importance matrix is made by miao quantize --keep-importance or llama-imatrix",
          path.string()};
}

// F32 values of a tensor, which are numbers not below zero.
Result<std::vector<double>> values(const TensorView& t, const std::filesystem::path& path) {
  if (t.dtype != DType::f32) return not_ours(path, t.name + " is not F32");
  std::vector<double> out(static_cast<size_t>(t.elements()));
  for (size_t i = 0; i < out.size(); ++i) {
    float v;
    std::memcpy(&v, t.data + i * sizeof v, sizeof v);
    if (!std::isfinite(v) || v < 0) {
      return Error{Code::corrupt, "value " + std::to_string(i) + " is no sum of squares",
                   path.string() + ": " + t.name};
    }
    out[i] = v;
  }
  return out;
}

}  // namespace

Result<Importance> Importance::read(const std::filesystem::path& path) {
  MIAO_TRY(const io::Checkpoint file, io::Checkpoint::open(path));
  MIAO_TRY(const std::string_view type, file.meta().string("general.type", ""));
  if (type != "imatrix") return not_ours(path, "holds no importance matrix");
  Importance out;
  MIAO_TRY(out.chunks_, file.meta().integer("imatrix.chunk_count", 0));
  MIAO_TRY(out.chunk_size_, file.meta().integer("imatrix.chunk_size", 0));
  for (const TensorView& sums : file.tensors()) {
    if (!sums.name.ends_with(kSums)) continue;
    const std::string tensor = sums.name.substr(0, sums.name.size() - kSums.size());
    const TensorView* const counts = file.find(tensor + std::string(kCounts));
    if (!counts) return Error{Code::corrupt, "has sums and no counts of " + tensor, path.string()};
    Input input{.cols = sums.cols()};
    MIAO_TRY(input.sum2, values(sums, path));
    MIAO_TRY(input.count, values(*counts, path));
    if (input.cols < 1 || input.count.size() * static_cast<size_t>(input.cols) != input.sum2.size()) {
      return Error{Code::corrupt, "sums and counts of " + tensor + " do not belong together", path.string()};
    }
    out.inputs_.emplace(tensor, std::move(input));
  }
  if (out.empty()) return not_ours(path, "holds no sums of any tensor");
  return out;
}

Result<void> Importance::write(const std::filesystem::path& path, const std::vector<std::string>& datasets) const {
  io::GgufMetadata meta;
  meta.set("general.type", "imatrix");
  meta.set("imatrix.datasets", datasets);
  meta.set("imatrix.chunk_count", static_cast<uint32_t>(chunks_));
  meta.set("imatrix.chunk_size", static_cast<uint32_t>(chunk_size_));
  std::vector<io::TensorInfo> tensors;
  for (const auto& [name, input] : inputs_) {
    const auto matrices = static_cast<int64_t>(input.count.size());
    tensors.push_back({name + std::string(kSums), DType::f32, {matrices, input.cols}});
    tensors.push_back({name + std::string(kCounts), DType::f32, {matrices, 1}});
  }
  MIAO_TRY(auto file, io::GgufWriter::create(path, std::move(meta), tensors));
  for (const auto& [name, input] : inputs_) {
    const std::vector<float> sums(input.sum2.begin(), input.sum2.end()), counts(input.count.begin(), input.count.end());
    MIAO_CHECK_OK(file.write(name + std::string(kSums), std::as_bytes(std::span(sums))));
    MIAO_CHECK_OK(file.write(name + std::string(kCounts), std::as_bytes(std::span(counts))));
  }
  MIAO_CHECK_OK(file.finish());
  return file.commit();
}

}  // namespace miao::compress

// For tests: what to_gguf() gives, as a file.
#pragma once

#include <filesystem>
#include <utility>
#include <vector>

#include "base/result.h"
#include "io/gguf_writer.h"
#include "models/convert.h"

namespace miao::models {

// Tensors keep the source's type but where they must be F32.
inline Result<void> write_converted(Converted converted, const std::filesystem::path& path) {
  constexpr int64_t kRows = 7;  // of a piece
  std::vector<io::TensorInfo> infos;
  for (const ConvertedTensor& t : converted.tensors)
    infos.push_back({t.name(), t.moved_only() ? t.gguf_type() : DType::f32, t.shape()});
  MIAO_TRY(io::GgufWriter out, io::GgufWriter::create(path, std::move(converted.metadata), infos));
  for (size_t i = 0; i < infos.size(); ++i) {
    const ConvertedTensor& t = converted.tensors[i];
    std::vector<std::byte> piece;
    for (int64_t row = 0; row < t.rows(); row += kRows) {
      const int64_t end = std::min(row + kRows, t.rows());
      piece.resize(static_cast<size_t>((end - row) * row_bytes(infos[i].dtype, t.cols())));
      if (infos[i].dtype == t.dtype() && t.moved_only()) {
        t.copy(row, end, piece.data());
      } else {
        t.decode(row, end, reinterpret_cast<float*>(piece.data()));
      }
      MIAO_CHECK_OK(out.write(t.name(), piece));
    }
  }
  MIAO_CHECK_OK(out.finish());
  return out.commit();
}

}  // namespace miao::models

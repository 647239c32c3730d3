#include "compress/fold/changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/cpu.h"
#include "base/thread_pool.h"
#include "compress/canary.h"
#include "io/gguf_writer.h"
#include "runtime/blockwise.h"

namespace miao::compress {

namespace {

constexpr int64_t kColumns = 64;      // that are turned side by side
constexpr double kLeastAlike = 1e-3;  // of logits, by their size: FP32 in another order gives less than a tenth

// Rows of the tensor, changed in double.
std::vector<float> changed(const TensorView& source, const Change& change, ThreadPool& pool) {
  const int64_t rows = source.rows(), cols = source.cols();
  std::vector<float> out(static_cast<size_t>(rows * cols));
  if (change.ones) {
    std::ranges::fill(out, 1.0f);
    return out;
  }
  pool.run([&](Worker& worker) {
    const Range mine = worker.split(rows);
    std::vector<double> row(static_cast<size_t>(cols)), scratch(row.size());
    for (int64_t r = mine.begin; r < mine.end; ++r) {
      float* const to = out.data() + r * cols;
      format(source.dtype).decode(source.row(r), to, cols);
      for (int64_t c = 0; c < cols; ++c) {
        row[static_cast<size_t>(c)] = double{to[c]} *
                                      (change.cols.empty() ? 1.0 : change.cols[static_cast<size_t>(c)]) *
                                      (change.rows.empty() ? 1.0 : change.rows[static_cast<size_t>(r)]);
      }
      for (int64_t at = 0; change.in && at < cols; at += change.in->size()) change.in->apply(&row[at], scratch.data());
      std::ranges::copy(row, to);
    }
  });
  if (!change.out) return out;
  pool.run([&](Worker& worker) {
    const int64_t n = change.out->size(), across = (cols + kColumns - 1) / kColumns;
    const Range mine = worker.split(rows / n * across);
    std::vector<double> column(static_cast<size_t>(n)), scratch(column.size());
    for (int64_t task = mine.begin; task < mine.end; ++task) {
      float* const block = out.data() + task / across * n * cols;
      const int64_t first = task % across * kColumns, end = std::min(first + kColumns, cols);
      for (int64_t c = first; c < end; ++c) {
        for (int64_t r = 0; r < n; ++r) column[static_cast<size_t>(r)] = block[r * cols + c];
        change.out->apply(column.data(), scratch.data());
        for (int64_t r = 0; r < n; ++r) block[r * cols + c] = static_cast<float>(column[static_cast<size_t>(r)]);
      }
    }
  });
  return out;
}

// Rows of results for some ids.
Result<std::vector<float>> results(const std::filesystem::path& path, const FoldOptions& o) {
  MIAO_TRY(const auto model, runtime::open_blockwise(path, {o.threads, 64, o.cancel}));
  const std::vector<std::vector<int32_t>> ids{canary_ids(model->spec().vocab)};
  std::vector<float> out;
  const auto take = [&](int64_t, const runtime::Logits& rows) -> Result<void> {
    for (int64_t i = 0; i < rows.rows(); ++i) out.insert(out.end(), rows.row(i).begin(), rows.row(i).end());
    return {};
  };
  MIAO_CHECK_OK(model->run_blocks(ids, {.first = 0, .end = model->spec().layers}, take, o.cancel));
  return out;
}

Result<void> check_alike(const io::Checkpoint& model, const std::filesystem::path& file, const char* what,
                         const FoldOptions& o) {
  MIAO_TRY(const std::vector<float> before, results(model.path(), o));
  MIAO_TRY(const std::vector<float> after, results(file, o));
  double size = 0, apart = 0;
  for (size_t i = 0; i < before.size() && i < after.size(); ++i) {
    const double d = double{before[i]} - double{after[i]};
    size += double{before[i]} * double{before[i]}, apart += d * d;
  }
  if (before.size() == after.size() && apart <= kLeastAlike * kLeastAlike * size) return {};
  return Error{Code::unsupported,
               fmt::format("computes something else once {} (by {:.2g} of its size), so it cannot be", what,
                           std::sqrt(apart / std::max(size, 1e-30))),
               model.path().string()};
}

}  // namespace

std::vector<float> vector_of(const io::Checkpoint& model, std::string_view name) {
  const TensorView& t = *model.find(name);
  std::vector<float> out(static_cast<size_t>(t.elements()));
  format(t.dtype).decode(t.data, out.data(), t.elements());
  return out;
}

Result<GgufCopy> write_changed(const io::Checkpoint& model, const std::filesystem::path& beside, const Changes& changes,
                               const char* what, const FoldOptions& o) {
  struct Item {
    const TensorView* source;
    const Change* change;
    std::string name;
  };
  std::vector<Item> items;
  for (const TensorView& t : model.tensors()) {
    const auto at = changes.find(t.name);
    items.push_back({&t, at == changes.end() ? nullptr : &at->second, t.name});
  }
  for (const auto& [name, change] : changes) {
    if (!change.of.empty()) items.push_back({model.find(change.of), &change, name});
  }
  std::vector<io::TensorInfo> infos;
  for (const Item& i : items) infos.push_back({i.name, i.change ? DType::f32 : i.source->dtype, i.source->shape});
  io::GgufMetadata keys = io::GgufMetadata::of(model);
  keys.set(std::string("miao.quantize.") + what, true);
  MIAO_TRY(io::GgufWriter file, io::GgufWriter::create(beside, std::move(keys), std::move(infos), o.cancel));
  MIAO_TRY(const auto pool, ThreadPool::create(o.threads ? o.threads : cpu_limits().threads()));
  for (size_t i = 0; i < items.size(); ++i) {
    if (o.progress) o.progress(what, i, items.size());
    const TensorView& t = *items[i].source;
    const std::span<const std::byte> own{t.data, static_cast<size_t>(t.bytes)};
    if (items[i].change) {
      const std::vector<float> values = changed(t, *items[i].change, *pool);
      MIAO_CHECK_OK(file.write(items[i].name, std::as_bytes(std::span(values))));
    } else {
      MIAO_CHECK_OK(file.write(items[i].name, own));
    }
    model.release(own);
  }
  MIAO_CHECK_OK(file.finish());
  GgufCopy out = GgufCopy::of(std::move(file));
  MIAO_CHECK_OK(check_alike(model, out.path(), what, o));
  return out;
}

}  // namespace miao::compress

// Token and position embeddings. Rows are decoded from the file's mapping, or from the packed output matrix where it is
// the same, so the table costs no memory of its own.
#include <algorithm>

#include "base/check.h"
#include "graph/ops.h"

namespace miao::graph {

namespace {

class Embedding final : public Step {
  static constexpr int64_t kAhead = 4;  // rows stand anywhere in memory: wait for several at once

 public:
  // One of both.
  Embedding(const TensorView* table, const Linear* tied, float scale, Buffer* x)
      : Step("embedding", {x}, x), tied_(tied), scale_(scale), x_(x) {
    if (table) table_ = *table;
    MIAO_CHECK((tied ? tied->cols() : table->cols()) == x->cols);
  }

  void run(const Worker& worker, const StepIo& io) override {
    const Range mine = worker.split(io.rows);
    for (int64_t t = mine.begin; t < mine.end; ++t) {
      const int32_t id = io.pass.ids[static_cast<size_t>(t)];
      if (!tied_ && t + kAhead < mine.end) prefetch(table_.row(io.pass.ids[static_cast<size_t>(t + kAhead)]));
      float* const x = x_->row(t);
      if (tied_) {
        tied_->row(id, x);
      } else {
        format(table_.dtype).decode(table_.row(id), x, x_->cols);
      }
      if (scale_ != 1) io.kernels.scale(x, scale_, x_->cols);
    }
  }

 private:
  void prefetch(const std::byte* row) const {
    const int64_t bytes = row_bytes(table_.dtype, table_.cols());
    for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(row + at);
  }

  TensorView table_;
  const Linear* tied_;
  float scale_;
  Buffer* x_;
};

class Positions final : public Step {
 public:
  Positions(const TensorView& table, int64_t offset, Buffer* x)
      : Step("position_embedding", {x}, x), table_(table), offset_(offset), x_(x) {
    MIAO_CHECK(table.cols() == x->cols);
  }

  void run(const Worker& worker, const StepIo& io) override {
    const Range mine = worker.split(io.rows);
    auto* const row = reinterpret_cast<float*>(io.own);
    for (const PassSlice& slice : io.pass.slices) {
      const int64_t begin = std::max(mine.begin, slice.row);
      const int64_t end = std::min(mine.end, slice.row + slice.rows);
      for (int64_t t = begin; t < end; ++t) {
        format(table_.dtype).decode(table_.row(slice.position + t - slice.row + offset_), row, x_->cols);
        io.kernels.add(x_->row(t), row, x_->cols, x_->row(t));
      }
    }
  }
  int64_t own_bytes(int64_t) const override { return x_->stride * static_cast<int64_t>(sizeof(float)); }

 private:
  TensorView table_;
  int64_t offset_;
  Buffer* x_;
};

class TokenTypes final : public Step {
 public:
  TokenTypes(const TensorView& table, Buffer* x) : Step("token_types", {x}, x), table_(table), x_(x) {
    MIAO_CHECK(table.cols() == x->cols);
  }

  void run(const Worker& worker, const StepIo& io) override {
    const Range mine = worker.split(io.rows);
    auto* const row = reinterpret_cast<float*>(io.own);
    int32_t decoded = -1;
    for (int64_t t = mine.begin; t < mine.end; ++t) {
      const int32_t type = io.pass.types.empty() ? 0 : io.pass.types[static_cast<size_t>(t)];
      if (type != decoded) format(table_.dtype).decode(table_.row(type), row, x_->cols);
      decoded = type;
      io.kernels.add(x_->row(t), row, x_->cols, x_->row(t));
    }
  }
  int64_t own_bytes(int64_t) const override { return x_->stride * static_cast<int64_t>(sizeof(float)); }

 private:
  TensorView table_;
  Buffer* x_;
};

}  // namespace

void add_token_types(Program& program, const TensorView& table, Buffer* x) { program.add<TokenTypes>(table, x); }

void add_positions(Program& program, const TensorView& table, int64_t offset, Buffer* x) {
  program.add<Positions>(table, offset, x);
}

void add_embedding(Program& program, const TensorView& table, float scale, Buffer* x) {
  program.add<Embedding>(&table, nullptr, scale, x);
}

void add_embedding(Program& program, const Linear& tied, float scale, Buffer* x) {
  program.add<Embedding>(nullptr, &tied, scale, x);
}

}  // namespace miao::graph

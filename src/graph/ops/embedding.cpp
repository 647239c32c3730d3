// Token embedding. Rows are decoded from the file's mapping, or from the packed output matrix where it is the same, so
// the table costs no memory of its own.
#include "base/check.h"
#include "graph/ops.h"

namespace miao::graph {

namespace {

class Embedding final : public Step {
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
  TensorView table_;
  const Linear* tied_;
  float scale_;
  Buffer* x_;
};

}  // namespace

void add_embedding(Program& program, const TensorView& table, float scale, Buffer* x) {
  program.add<Embedding>(&table, nullptr, scale, x);
}

void add_embedding(Program& program, const Linear& tied, float scale, Buffer* x) {
  program.add<Embedding>(nullptr, &tied, scale, x);
}

}  // namespace miao::graph

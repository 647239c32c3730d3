// Token embedding. Rows are decoded from the file's mapping, so the table costs no memory of its own.
#include "base/check.h"
#include "graph/ops.h"

namespace miao::graph {

namespace {

class Embedding final : public Step {
 public:
  Embedding(const TensorView& table, float scale, Buffer* x)
      : Step("embedding", {x}, x), table_(table), scale_(scale), x_(x) {
    MIAO_CHECK(table.cols() == x->cols);
  }

  void run(const Worker& worker, const StepIo& io) override {
    const Format& f = format(table_.dtype);
    const Range mine = worker.split(io.rows);
    for (int64_t t = mine.begin; t < mine.end; ++t) {
      float* const x = x_->row(t);
      f.decode(table_.row(io.pass.ids[static_cast<size_t>(t)]), x, x_->cols);
      if (scale_ != 1) io.kernels.scale(x, scale_, x_->cols);
    }
  }

 private:
  TensorView table_;
  float scale_;
  Buffer* x_;
};

}  // namespace

void add_embedding(Program& program, const TensorView& table, float scale, Buffer* x) {
  program.add<Embedding>(table, scale, x);
}

}  // namespace miao::graph

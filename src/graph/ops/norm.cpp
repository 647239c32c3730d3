// Norms that are steps of their own: x += norm(in), and a part of x in place.
#include "base/check.h"
#include "graph/ops.h"

namespace miao::graph {

namespace {

class NormResidual final : public Step {
 public:
  NormResidual(std::string name, const Norm& norm, Buffer* in, Buffer* x)
      : Step(std::move(name), {in, x}, x), norm_(norm), in_(in), x_(x) {
    MIAO_CHECK(norm.size == x->cols && in->cols >= norm.size);
  }

  void run(const Worker& worker, const StepIo& io) override {
    const Range mine = worker.split(io.rows);
    auto* const y = reinterpret_cast<float*>(io.own);
    for (int64_t t = mine.begin; t < mine.end; ++t) {
      norm_.apply(io.kernels, in_->row(t), y);
      io.kernels.add(x_->row(t), y, norm_.size, x_->row(t));
    }
  }
  int64_t own_bytes(int64_t) const override { return norm_.size * static_cast<int64_t>(sizeof(float)); }

 private:
  Norm norm_;
  Buffer *in_, *x_;
};

class InPlace final : public Step {
 public:
  InPlace(std::string name, const Norm& norm, int64_t column, Buffer* x)
      : Step(std::move(name), {x}, x), norm_(norm), column_(column), x_(x) {
    MIAO_CHECK(column >= 0 && column + norm.size <= x->cols);
  }

  void run(const Worker& worker, const StepIo& io) override {
    const Range mine = worker.split(io.rows);
    for (int64_t t = mine.begin; t < mine.end; ++t) norm_.apply(io.kernels, x_->row(t) + column_, x_->row(t) + column_);
  }

 private:
  Norm norm_;
  int64_t column_;
  Buffer* x_;
};

}  // namespace

void add_norm(Program& program, std::string name, const Norm& norm, int64_t column, Buffer* x) {
  program.add<InPlace>(std::move(name), norm, column, x);
}

void add_norm_residual(Program& program, std::string name, const Norm& norm, Buffer* in, Buffer* x) {
  program.add<NormResidual>(std::move(name), norm, in, x);
}

}  // namespace miao::graph

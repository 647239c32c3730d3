// x += norm(in), row by row.
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
      io.kernels.rms_norm(in_->row(t), norm_.weight, norm_.size, norm_.eps, y);
      io.kernels.add(x_->row(t), y, norm_.size, x_->row(t));
    }
  }
  int64_t own_bytes(int64_t) const override { return norm_.size * static_cast<int64_t>(sizeof(float)); }

 private:
  Norm norm_;
  Buffer *in_, *x_;
};

}  // namespace

void add_norm_residual(Program& program, std::string name, const Norm& norm, Buffer* in, Buffer* x) {
  program.add<NormResidual>(std::move(name), norm, in, x);
}

}  // namespace miao::graph

// What encoders end with: the mean of a sequence's rows, and rows as they are.
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "graph/ops.h"

namespace miao::graph {

namespace {

class Mean final : public Step {
 public:
  Mean(std::string name, Buffer* x) : Step(std::move(name), {x}, x), x_(x) {}

  void run(const Worker& worker, const StepIo& io) override {
    const Range mine = worker.split(static_cast<int64_t>(io.pass.slices.size()));
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      const PassSlice& s = io.pass.slices[static_cast<size_t>(i)];
      float* const sum = x_->row(s.row);
      for (int64_t t = 1; t < s.rows; ++t) io.kernels.add(sum, x_->row(s.row + t), x_->cols, sum);
      io.kernels.scale(sum, 1 / static_cast<float>(s.rows), x_->cols);
    }
  }

 private:
  Buffer* x_;
};

class Output final : public Step {
 public:
  Output(std::string name, Buffer* x, bool normalise) : Step(std::move(name), {x}, x), x_(x), normalise_(normalise) {}

  void run(const Worker& worker, const StepIo& io) override {
    const Range mine = worker.split(io.rows);
    for (int64_t t = mine.begin; t < mine.end; ++t) {
      float* const out = io.pass.logits + t * io.pass.ld_logits;
      std::copy_n(x_->row(t), x_->cols, out);
      if (normalise_) io.kernels.scale(out, static_cast<float>(1 / std::max(length(out), kShortest)), x_->cols);
    }
  }

 private:
  static constexpr double kShortest = 1e-12;  // rows of zeros stay
  double length(const float* x) const {
    double sum = 0;
    for (int64_t i = 0; i < x_->cols; ++i) sum += double{x[i]} * double{x[i]};
    return std::sqrt(sum);
  }

  Buffer* x_;
  bool normalise_;
};

}  // namespace

void add_mean(Program& program, std::string name, Buffer* x) { program.add<Mean>(std::move(name), x); }

void add_output(Program& program, std::string name, Buffer* x, bool normalise) {
  program.add<Output>(std::move(name), x, normalise);
}

}  // namespace miao::graph

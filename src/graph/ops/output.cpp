// What encoders end with: the mean of a sequence's rows, and rows as they are.
#include <algorithm>

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
  Output(std::string name, Buffer* x) : Step(std::move(name), {x}, x), x_(x) {}

  void run(const Worker& worker, const StepIo& io) override {
    const Range mine = worker.split(io.rows);
    for (int64_t t = mine.begin; t < mine.end; ++t)
      std::copy_n(x_->row(t), x_->cols, io.pass.logits + t * io.pass.ld_logits);
  }

 private:
  Buffer* x_;
};

}  // namespace

void add_mean(Program& program, std::string name, Buffer* x) { program.add<Mean>(std::move(name), x); }

void add_output(Program& program, std::string name, Buffer* x) { program.add<Output>(std::move(name), x); }

}  // namespace miao::graph

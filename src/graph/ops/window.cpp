// What a convolution over three frames reads, so that it becomes a matrix product.
#include "base/check.h"
#include "graph/ops.h"

namespace miao::graph {

namespace {

constexpr int64_t kTaps = 3;

class Window final : public Step {
 public:
  Window(std::string name, int64_t values, int64_t step, Buffer* out)
      : Step(std::move(name), {out}, out), values_(values), step_(step), out_(out) {
    MIAO_CHECK(out->cols == kTaps * values);
  }

  void run(const Worker& worker, const StepIo& io) override {
    MIAO_CHECK(io.pass.features != nullptr);
    const Range mine = worker.split(io.rows);
    for (const PassSlice& s : io.pass.slices) {
      const int64_t begin = std::max(mine.begin, s.row), end = std::min(mine.end, s.row + s.rows);
      for (int64_t row = begin; row < end; ++row) gather(io, s, row);
    }
  }

 private:
  void gather(const StepIo& io, const PassSlice& s, int64_t row) const {
    for (int64_t tap = 0; tap < kTaps; ++tap) {
      const int64_t frame = step_ * (row - s.row) + tap - 1;  // of the slice
      const bool inside = frame >= 0 && frame < step_ * s.rows;
      const float* const from = io.pass.features + (step_ * s.row + frame) * io.pass.ld_features;
      float* const to = out_->row(row) + tap;
      for (int64_t i = 0; i < values_; ++i) to[kTaps * i] = inside ? from[i] : 0;
    }
  }

  int64_t values_, step_;
  Buffer* out_;
};

}  // namespace

void add_window(Program& program, std::string name, int64_t values, int64_t step, Buffer* out) {
  program.add<Window>(std::move(name), values, step, out);
}

}  // namespace miao::graph

// Rotary position tables of the rows of a pass, shared by all layers with the same frequencies. Computed per pass: for
// one token it is microseconds, and a table over all positions of a long context would be large.
#include <cmath>

#include "graph/ops.h"

namespace miao::graph {

namespace {

class Rotation final : public Step {
 public:
  Rotation(std::string name, std::vector<float> frequency, float factor, Buffer* out)
      : Step(std::move(name), {out}, out), frequency_(std::move(frequency)), factor_(factor), out_(out) {}

  void run(const Worker& worker, const StepIo& io) override {
    const Range mine = worker.split(io.rows);
    const auto half = static_cast<int64_t>(frequency_.size());
    for (const PassSlice& slice : io.pass.slices) {
      const int64_t begin = std::max(mine.begin, slice.row);
      const int64_t end = std::min(mine.end, slice.row + slice.rows);
      for (int64_t t = begin; t < end; ++t) {
        const auto position = static_cast<float>(slice.position + t - slice.row);
        float* const cos_row = out_->row(t);
        for (int64_t i = 0; i < half; ++i) {
          const float angle = position * frequency_[static_cast<size_t>(i)];
          cos_row[i] = std::cos(angle) * factor_;
          cos_row[half + i] = std::sin(angle) * factor_;
        }
      }
    }
  }

 private:
  std::vector<float> frequency_;
  float factor_;
  Buffer* out_;
};

}  // namespace

Buffer* add_rotation(Program& program, std::string name, std::vector<float> frequency, float factor) {
  Buffer* const out = program.buffer(name, 2 * static_cast<int64_t>(frequency.size()));
  program.add<Rotation>(std::move(name), std::move(frequency), factor, out);
  return out;
}

}  // namespace miao::graph

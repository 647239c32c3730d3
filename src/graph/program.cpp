#include "graph/program.h"

#include <algorithm>

#include "base/check.h"
#include "base/clock.h"

namespace miao::graph {

namespace {

constexpr int64_t kAlign = 64;  // cache lines: no thread's data ends on another's

int64_t aligned(int64_t bytes) { return kernels::round_up(bytes, kAlign); }

// Row rows[i] becomes row i; rows ascend, so nothing is overwritten before it is read.
void close_up(std::span<const int32_t> rows, const std::vector<Buffer*>& buffers) {
  for (const Buffer* b : buffers) {
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto to = static_cast<int64_t>(i);
      if (rows[i] != to) std::copy_n(b->row(rows[i]), b->stride, b->row(to));
    }
  }
}

void copy_rows(const float* from, int64_t ld_from, int64_t cols, Range rows, float* to, int64_t ld_to) {
  for (int64_t r = rows.begin; r < rows.end; ++r) std::copy_n(from + r * ld_from, cols, to + r * ld_to);
}

}  // namespace

View Step::output(const StepIo& io) const {
  return out_ ? View{out_->data, io.rows, out_->cols, out_->stride} : View{};
}

std::string_view Step::kind() const {
  const std::string_view name = name_;
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

Buffer* Program::buffer(std::string name, int64_t cols) {
  MIAO_CHECK(cols > 0);
  Buffer b;
  b.name = std::move(name);
  b.cols = cols;
  b.stride = kernels::round_up(cols, kernels::kLanes);
  return &buffers_.emplace_back(std::move(b));
}

void Program::add(std::unique_ptr<Step> step) {
  const int index = static_cast<int>(steps_.size());
  for (Buffer* b : step->uses_) {
    if (b->first_step < 0) b->first_step = index;
    b->last_step = index;
  }
  steps_.push_back(std::move(step));
}

void Program::select(std::vector<Buffer*> buffers) {
  MIAO_CHECK(select_at_ == SIZE_MAX);
  selected_ = std::move(buffers);
  select_at_ = steps_.size();
}

void Program::begin_block(Buffer* carried) {
  MIAO_CHECK(!carried_ || carried_ == carried);
  carried_ = carried;
  block_starts_.push_back(steps_.size());
}

void Program::end_blocks() { block_starts_.push_back(steps_.size()); }

// First fit by first use: a buffer takes the lowest place that no buffer alive at the same time covers.
int64_t Program::place_buffers(int64_t max_rows, std::vector<int64_t>& offsets) const {
  const auto size = [&](const Buffer& b) { return aligned(max_rows * b.stride * static_cast<int64_t>(sizeof(float))); };
  std::vector<size_t> order;
  for (size_t i = 0; i < buffers_.size(); ++i) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return buffers_[a].first_step < buffers_[b].first_step; });
  offsets.assign(buffers_.size(), 0);
  int64_t total = 0;
  for (size_t n = 0; n < order.size(); ++n) {
    const Buffer& b = buffers_[order[n]];
    std::vector<std::pair<int64_t, int64_t>> taken;  // of placed buffers that live at the same time
    for (size_t m = 0; m < n; ++m) {
      const Buffer& other = buffers_[order[m]];
      if (other.last_step >= b.first_step) taken.emplace_back(offsets[order[m]], offsets[order[m]] + size(other));
    }
    std::sort(taken.begin(), taken.end());
    int64_t at = 0;
    for (const auto& [begin, end] : taken) {
      if (at + size(b) <= begin) break;
      at = std::max(at, end);
    }
    offsets[order[n]] = at;
    total = std::max(total, at + size(b));
  }
  return total;
}

Result<void> Program::plan(int64_t max_rows) {
  std::vector<int64_t> offsets;
  const int64_t buffer_bytes = place_buffers(max_rows, offsets);
  int64_t shared_bytes = 0;
  own_bytes_ = 0;
  for (const auto& step : steps_) {
    shared_bytes = std::max(shared_bytes, aligned(step->shared_bytes(max_rows)));
    own_bytes_ = std::max(own_bytes_, aligned(step->own_bytes(max_rows)));
  }
  const int64_t total = buffer_bytes + shared_bytes + own_bytes_ * context_.pool.threads();
  MIAO_TRY(memory_, Memory::allocate(static_cast<size_t>(total)));
  for (size_t i = 0; i < offsets.size(); ++i) buffers_[i].data = memory_.as<float>(static_cast<size_t>(offsets[i]));
  shared_ = memory_.data() + buffer_bytes;
  own_ = shared_ + shared_bytes;
  max_rows_ = max_rows;
  return {};
}

void Program::clear() {
  steps_.clear();
  buffers_.clear();
  kept_.clear();
  selected_.clear();
  select_at_ = SIZE_MAX;
  carried_ = nullptr;
  block_starts_.clear();
  max_rows_ = own_bytes_ = 0;
  memory_ = {};
  profile(false);
}

bool Program::run(const Pass& pass) { return run_on_pool(pass, {}); }

bool Program::run(const Pass& pass, const Blocks& blocks) {
  MIAO_CHECK(0 <= blocks.first && blocks.first < blocks.end && blocks.end <= this->blocks());
  MIAO_CHECK((blocks.in || blocks.first == 0) && (blocks.out || blocks.end == this->blocks()));
  MIAO_CHECK((!blocks.out || static_cast<int64_t>(pass.wanted.size()) == pass.rows()) &&
             (!(blocks.in || blocks.out) || blocks.ld >= carried_->cols));
  return run_on_pool(pass, blocks);
}

bool Program::run_on_pool(const Pass& pass, const Blocks& blocks) {
  MIAO_CHECK(pass.rows() > 0 && pass.rows() <= max_rows_);
  last_step_.store(SIZE_MAX, std::memory_order_relaxed);
  for (const auto& step : steps_) step->next_.store(0, std::memory_order_relaxed);
  context_.pool.run([this, &pass, &blocks](const Worker& worker) { run_steps(worker, pass, blocks); });
  return last_step_.load(std::memory_order_relaxed) == SIZE_MAX;
}

void Program::run_steps(const Worker& worker, const Pass& pass, const Blocks& blocks) {
  StepIo io{pass, context_.kernels, pass.rows(), own_ + worker.index * own_bytes_, shared_};
  if (reads_) io.reads = &reads_;
  const bool watched = tap_ || !seconds_.empty();
  const auto wanted = static_cast<int64_t>(pass.wanted.size());
  const size_t from = blocks.in ? block_starts_[static_cast<size_t>(blocks.first)] : 0;
  const size_t skip = blocks.in ? block_starts_[0] : SIZE_MAX;  // where the blocks that are left out begin
  const size_t end = blocks.out ? block_starts_[static_cast<size_t>(blocks.end)] : steps_.size();
  for (size_t i = 0; i < end; ++i) {
    if (i == skip) {
      copy_rows(blocks.in, blocks.ld, carried_->cols, worker.split(io.rows), carried_->data, carried_->stride);
      worker.barrier();
      i = from;
    }
    if (i == select_at_ && wanted != io.rows) {
      if (wanted == 0) return;
      io.rows = wanted;
      if (worker.index == 0) close_up(pass.wanted, selected_);
      worker.barrier();
    }
    // One thread decides, before the barrier that all pass. It may be a step ahead of a thread that looks behind it,
    // which is why the step's number is kept and not a flag.
    if (worker.index == 0 && pass.cancel && pass.cancel->load(std::memory_order_relaxed)) {
      last_step_.store(i, std::memory_order_relaxed);
    }
    if (watched) {
      run_watched(worker, i, io);
    } else {
      steps_[i]->run(worker, io);
      worker.barrier();
    }
    if (last_step_.load(std::memory_order_relaxed) <= i) return;
  }
  if (blocks.out)
    copy_rows(carried_->data, carried_->stride, carried_->cols, worker.split(io.rows), blocks.out, blocks.ld);
}

void Program::run_watched(const Worker& worker, size_t index, const StepIo& io) {
  const double start = now_seconds();
  steps_[index]->run(worker, io);
  worker.barrier();
  if (worker.index == 0) {
    if (!seconds_.empty()) seconds_[index] += now_seconds() - start;
    if (tap_) tap_(steps_[index]->name(), steps_[index]->output(io));
  }
  worker.barrier();
}

void Program::profile(bool on) { seconds_.assign(on ? steps_.size() : 0, 0.0); }

double Program::block_seconds() const {
  double out = 0;
  if (seconds_.empty() || block_starts_.empty()) return out;
  for (size_t i = block_starts_.front(); i < block_starts_.back(); ++i) out += seconds_[i];
  return out;
}

std::vector<std::pair<std::string, double>> Program::profile() const {
  std::vector<std::pair<std::string, double>> out;
  for (size_t i = 0; i < seconds_.size(); ++i) {
    const std::string_view kind = steps_[i]->kind();
    auto at = std::find_if(out.begin(), out.end(), [&](const auto& entry) { return entry.first == kind; });
    if (at == out.end()) at = out.emplace(out.end(), kind, 0.0);
    at->second += seconds_[i];
  }
  return out;
}

}  // namespace miao::graph

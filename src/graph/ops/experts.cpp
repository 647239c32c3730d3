// A mixture of experts, as one step. Rows that chose the same expert stand together (one entry a row and expert), so
// that each expert is one ordinary product over its entries:
//
//   rows -> norm -> router -> choices | entries by expert: gather, quantise -> gate_up -> act -> quantise -> down | x
//   +=
//
// An entry's result does not depend on its neighbours (see kernels/table.h), and a row adds its experts in the order of
// their rating, so outputs stay a function of the row alone.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "graph/ops.h"

namespace miao::graph {

namespace {

using kernels::Activations;
using kernels::FloatParts;
using kernels::kLanes;
using kernels::kTileRows;
using kernels::Quantised;
using kernels::round_up;
using kernels::RowCodes;

constexpr int64_t kTaskBlocks = 4;  // of a task

class ExpertsStep final : public Step {
 public:
  ExpertsStep(std::string name, const Experts& experts, const Norm& norm, Buffer* x)
      : Step(std::move(name), {x}, x), e_(experts), norm_(norm), x_(x) {
    MIAO_CHECK(!e_.gate_up.empty() && e_.gate_up.size() == e_.down.size() &&
               e_.router->kernel(0).reads == kernels::Reads::values);
    MIAO_CHECK(e_.router->rows(0) == count() && e_.used >= 1 && e_.used <= count());
    dim_ = norm.size;
    ffn_ = e_.gate_up[0]->rows(0);
    for (size_t i = 0; i < e_.gate_up.size(); ++i) {
      const Linear &up = *e_.gate_up[i], &down = *e_.down[i];
      MIAO_CHECK(up.parts() == 2 && up.cols() == dim_ && up.rows(0) == ffn_ && up.rows(1) == ffn_ && !up.bias());
      MIAO_CHECK(down.parts() == 1 && down.cols() == ffn_ && down.rows(0) == dim_ && !down.bias());
      up_.add(up);
      down_.add(down);
      scratch_ = std::max({scratch_, up.scratch_bytes(), down.scratch_bytes(), e_.router->scratch_bytes()});
    }
  }

  int64_t own_bytes(int64_t max_rows) const override {
    return round_up(scratch_, 64) + 2 * kTaskBlocks * kLanes * max_rows * static_cast<int64_t>(sizeof(float));
  }
  int64_t shared_bytes(int64_t max_rows) const override { return layout(max_rows).bytes; }

  void run(const Worker& worker, const StepIo& io) override {
    const Areas a = areas(io);
    route(worker, io, a);
    // The two products take their tasks from one counter: the first number that is too large for one belongs to the
    // next.
    int64_t task = worker.next(next_);
    const auto product = [&](int64_t blocks, int64_t base, const auto& body) {
      const int64_t pieces = (blocks + kTaskBlocks - 1) / kTaskBlocks, tasks = pieces * *a.active_count;
      for (; task < base + tasks; task = worker.next(next_)) {
        const int64_t expert = a.active[(task - base) / pieces], first = (task - base) % pieces * kTaskBlocks;
        body(expert, Range{first, std::min(first + kTaskBlocks, blocks)});
      }
      return base + tasks;
    };
    auto* const gate = reinterpret_cast<float*>(io.own + round_up(scratch_, 64));
    gather(worker, io, a);
    worker.barrier();
    show(worker, io, a, x_rows(a));
    const int64_t next = product(e_.gate_up[0]->part_blocks(0), 0, [&](int64_t expert, Range blocks) {
      const Linear& linear = *e_.gate_up[static_cast<size_t>(expert)];
      const int64_t rows = a.first[expert + 1] - a.first[expert], cols = kLanes * blocks.size();
      const int64_t half = linear.part_blocks(0);
      float* const up = gate + rows * cols;
      const Activations in = activations(a, expert, x_rows(a));
      linear.run(blocks, in, gate, cols, io.own);
      linear.run({half + blocks.begin, half + blocks.end}, in, up, cols, io.own);
      for (int64_t t = 0; t < rows; ++t) {
        float* const out = a.hidden + (a.first[expert] + t) * ld(ffn_) + kLanes * blocks.begin;
        io.kernels.gated(e_.act, gate + t * cols, up + t * cols, cols, out);
      }
    });
    worker.barrier();
    show(worker, io, a, hidden_rows(a));
    if (down_.any()) {
      quantise(worker, io, a, hidden_rows(a));
      worker.barrier();
    }
    product(e_.down[0]->blocks(), next, [&](int64_t expert, Range blocks) {
      const Activations in = activations(a, expert, hidden_rows(a));
      float* const out = a.x + a.first[expert] * ld(dim_) + kLanes * blocks.begin;  // what came in is not read again
      e_.down[static_cast<size_t>(expert)]->run(blocks, in, out, ld(dim_), io.own);
    });
    worker.barrier();
    add(worker, io, a);
  }

 private:
  struct Layout {
    int64_t normed, rating, weight, expert, entry, row, first, active, places, x, x_codes, hidden, hidden_codes, bytes;
  };
  struct Areas {
    float *normed, *rating, *weight;    // (rows, dim), (rows, experts), (rows, used)
    int32_t *expert, *entry;            // (rows, used)
    int32_t *row, *first;               // of each entry; the first entry of each expert and one more
    int32_t *active, *active_count;     // experts that have entries
    int64_t* places;                    // (2, experts): where the codes of an expert start in both areas
    float *x, *hidden;                  // (entries, dim), (entries, ffn)
    std::byte *x_codes, *hidden_codes;  // codes of each expert's entries, one expert behind the other
  };

  int64_t count() const { return static_cast<int64_t>(e_.gate_up.size()); }
  static int64_t ld(int64_t cols) { return round_up(cols, kLanes); }

  // The forms that some expert's product reads: Quantised | RowCodes | FloatParts of its entries.
  struct Coded {
    bool groups = false, rows = false, parts = false;

    void add(const Linear& linear) {
      groups |= linear.reads_codes();
      rows |= linear.reads_row_codes();
      parts |= linear.reads_parts();
    }
    bool any() const { return groups || rows || parts; }
    int64_t group_bytes(int64_t entries, int64_t cols) const {
      return groups ? round_up(Quantised::bytes(entries, cols), 64) : 0;
    }
    int64_t row_bytes(int64_t entries, int64_t cols) const {
      return rows ? round_up(RowCodes::bytes(entries, cols), 64) : 0;
    }
    int64_t bytes(int64_t entries, int64_t cols) const {
      return group_bytes(entries, cols) + row_bytes(entries, cols) +
             (parts ? round_up(FloatParts::bytes(entries, cols), 64) : 0);
    }
  };

  // Codes of all entries: each expert fills whole tiles, and every array of it whole cache lines.
  int64_t code_bytes(int64_t entries, int64_t cols, const Coded& coded) const {
    constexpr int64_t kRounding = 10 * 64;
    const int64_t experts = std::min(entries, count());
    return coded.any() ? coded.bytes(entries + experts * 2 * kTileRows, cols) + experts * kRounding : 0;
  }

  Layout layout(int64_t rows) const {
    const int64_t entries = rows * e_.used, padded = entries + kTileRows;
    Layout l{};
    const auto place = [&](int64_t bytes) {
      const int64_t at = l.bytes;
      l.bytes += round_up(bytes, 64);
      return at;
    };
    l.normed = place((rows + kTileRows) * ld(dim_) * 4);
    l.rating = place(rows * ld(count()) * 4);
    l.weight = place(entries * 4);
    l.expert = place(entries * 4);
    l.entry = place(entries * 4);
    l.row = place(entries * 4);
    l.first = place((count() + 1) * 4);
    l.active = place((count() + 1) * 4);
    l.places = place(2 * count() * 8);
    l.x = place(padded * ld(dim_) * 4);
    l.hidden = place(padded * ld(ffn_) * 4);
    l.x_codes = place(code_bytes(entries, dim_, up_));
    l.hidden_codes = place(code_bytes(entries, ffn_, down_));
    return l;
  }

  Areas areas(const StepIo& io) const {
    const Layout l = layout(io.rows);
    const auto floats = [&](int64_t at) { return reinterpret_cast<float*>(io.shared + at); };
    const auto ints = [&](int64_t at) { return reinterpret_cast<int32_t*>(io.shared + at); };
    return {floats(l.normed),      floats(l.rating),
            floats(l.weight),      ints(l.expert),
            ints(l.entry),         ints(l.row),
            ints(l.first),         ints(l.active) + 1,
            ints(l.active),        reinterpret_cast<int64_t*>(io.shared + l.places),
            floats(l.x),           floats(l.hidden),
            io.shared + l.x_codes, io.shared + l.hidden_codes};
  }

  // Norm, rating and choice of every row; then the entries of every expert. Ends behind a barrier.
  void route(const Worker& worker, const StepIo& io, const Areas& a) const {
    const int64_t experts = count();
    const Range rows = worker.split(io.rows);
    for (int64_t t = rows.begin; t < rows.end; ++t) norm_.apply(io.kernels, x_->row(t), a.normed + t * ld(dim_));
    worker.barrier();
    const Range blocks = worker.split(e_.router->blocks());
    if (io.reads && worker.index == 0) (*io.reads)(*e_.router, {a.normed, io.rows, dim_, ld(dim_)});
    if (blocks.size() > 0) {
      const Activations in{a.normed, ld(dim_), {}, io.rows};
      e_.router->run(blocks, in, a.rating + kLanes * blocks.begin, ld(experts), io.own);
    }
    worker.barrier();
    for (int64_t t = rows.begin; t < rows.end; ++t) choose(io, a, t);
    worker.barrier();
    if (worker.index == 0) group(io, a);
    worker.barrier();
  }

  void choose(const StepIo& io, const Areas& a, int64_t t) const {
    float* const rating = a.rating + t * ld(count());
    io.kernels.softmax(rating, count(), 1, rating);
    // A row has each expert once, which is what memory is planned for: no rating of a broken file may be NaN.
    for (int64_t e = 0; e < count(); ++e) rating[e] = rating[e] >= 0 ? rating[e] : 0;
    int32_t* const expert = a.expert + t * e_.used;
    float* const weight = a.weight + t * e_.used;
    float sum = 0;
    for (int64_t k = 0; k < e_.used; ++k) {
      const int64_t best = io.kernels.argmax(rating, count());
      expert[k] = static_cast<int32_t>(best);
      weight[k] = rating[best];
      sum += weight[k];
      rating[best] = -1;  // below every probability
    }
    for (int64_t k = 0; e_.normalised && k < e_.used; ++k) weight[k] /= sum;
  }

  void group(const StepIo& io, const Areas& a) const {
    const int64_t entries = io.rows * e_.used;
    std::fill_n(a.first, count() + 1, 0);
    for (int64_t i = 0; i < entries; ++i) ++a.first[a.expert[i] + 1];
    *a.active_count = 0;
    for (int64_t e = 0; e < count(); ++e) {
      if (a.first[e + 1] > 0) a.active[(*a.active_count)++] = static_cast<int32_t>(e);
      a.first[e + 1] += a.first[e];
    }
    for (int64_t i = 0; i < entries; ++i) {  // leaves `first` one expert further, which is put back below
      const int32_t at = a.first[a.expert[i]]++;
      a.entry[i] = at;
      a.row[at] = static_cast<int32_t>(i / e_.used);
    }
    for (int64_t e = count(); e > 0; --e) a.first[e] = a.first[e - 1];
    a.first[0] = 0;
    int64_t x_at = 0, hidden_at = 0;
    for (int32_t i = 0; i < *a.active_count; ++i) {
      const int32_t e = a.active[i], rows = a.first[e + 1] - a.first[e];
      a.places[e] = x_at;
      a.places[count() + e] = hidden_at;
      x_at += up_.bytes(rows, dim_);
      hidden_at += down_.bytes(rows, ffn_);
    }
  }

  void gather(const Worker& worker, const StepIo& io, const Areas& a) const {
    const Range mine = worker.split(io.rows * e_.used);
    for (int64_t i = mine.begin; i < mine.end; ++i)
      std::memcpy(a.x + i * ld(dim_), a.normed + a.row[i] * ld(dim_), static_cast<size_t>(dim_) * sizeof(float));
    if (!up_.any()) return;
    worker.barrier();
    quantise(worker, io, a, x_rows(a));
  }

  // Rows of all entries and the codes of them: what goes into gate_up, and into down.
  struct Rows {
    float* x;
    int64_t ldx;
    const int64_t* places;
    std::byte* codes;
    int64_t cols;
    Coded coded;
    const std::vector<const Linear*>& linears;  // that read them, one an expert
  };
  Rows x_rows(const Areas& a) const { return {a.x, ld(dim_), a.places, a.x_codes, dim_, up_, e_.gate_up}; }
  Rows hidden_rows(const Areas& a) const {
    return {a.hidden, ld(ffn_), a.places + count(), a.hidden_codes, ffn_, down_, e_.down};
  }

  // What each expert reads, to a tap. Nobody writes there before a barrier.
  void show(const Worker& worker, const StepIo& io, const Areas& a, const Rows& r) const {
    for (int32_t i = 0; io.reads && worker.index == 0 && i < *a.active_count; ++i) {
      const int64_t expert = a.active[i], first = a.first[expert];
      (*io.reads)(*r.linears[static_cast<size_t>(expert)],
                  {r.x + first * r.ldx, a.first[expert + 1] - first, r.cols, r.ldx});
    }
  }

  static Activations activations(const Areas& a, int64_t expert, const Rows& r) {
    const int64_t first = a.first[expert], rows = a.first[expert + 1] - first;
    Activations out{r.x + first * r.ldx, r.ldx, {}, rows};
    if (!r.coded.any()) return out;
    std::byte* const codes = r.codes + r.places[expert];
    if (r.coded.groups) out.codes = Quantised::at(codes, rows, r.cols);
    std::byte* const by_row = codes + r.coded.group_bytes(rows, r.cols);
    if (r.coded.rows) out.row_codes = RowCodes::at(by_row, rows, r.cols);
    if (r.coded.parts) out.parts = FloatParts::at(by_row + r.coded.row_bytes(rows, r.cols), rows, r.cols);
    return out;
  }

  void quantise(const Worker& worker, const StepIo& io, const Areas& a, const Rows& r) const {
    const Range entries = worker.split(io.rows * e_.used);
    for (int32_t i = 0; i < *a.active_count; ++i) {
      const int64_t expert = a.active[i], first = a.first[expert];
      const Activations in = activations(a, expert, r);
      const Range units = worker.split(r.coded.groups ? quantize_units(in.rows, in.codes) : 0);
      for (int64_t unit = units.begin; unit < units.end; ++unit)
        quantize_unit(io.kernels, in.x, in.ldx, in.rows, in.codes, unit);
      const int64_t end = std::min<int64_t>(entries.end, a.first[expert + 1]);
      for (int64_t entry = std::max(entries.begin, first); entry < end; ++entry) {
        const float* const x = r.x + entry * r.ldx;
        const float* const factor = r.linears[static_cast<size_t>(expert)]->factor();
        if (r.coded.rows) io.kernels.quantize_row(x, factor, r.cols, in.row_codes, entry - first);
        if (r.coded.parts) io.kernels.split_row(x, r.cols, in.parts, entry - first);
      }
    }
  }

  void add(const Worker& worker, const StepIo& io, const Areas& a) const {
    const Range mine = worker.split(io.rows);
    for (int64_t t = mine.begin; t < mine.end; ++t) {
      float* const sum = a.x + a.entry[t * e_.used] * ld(dim_);
      for (int64_t k = 0; k < e_.used; ++k) {
        float* const y = a.x + a.entry[t * e_.used + k] * ld(dim_);
        io.kernels.scale(y, a.weight[t * e_.used + k], dim_);
        if (k > 0) io.kernels.add(sum, y, dim_, sum);
      }
      io.kernels.add(x_->row(t), sum, dim_, x_->row(t));
    }
  }

  Experts e_;
  Norm norm_;
  Buffer* x_;
  int64_t dim_ = 0, ffn_ = 0, scratch_ = 0;
  Coded up_, down_;
};

}  // namespace

void add_experts(Program& program, std::string name, const Experts& experts, const Norm& norm, Buffer* x) {
  program.add<ExpertsStep>(std::move(name), experts, norm, x);
}

}  // namespace miao::graph

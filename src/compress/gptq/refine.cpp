// Coordinate descent on what the sweep gave (as QuantEase, Behdin et al. 2023, arXiv 2309.01885): the sweep makes up
// for an error with later columns only, this with all. With e = w - v and the pull p = e H, replacing a value v_k by
// v_k + d changes e H e^T by
//
//   -2 d p_k + d^2 H_kk,     least for d = p_k / H_kk
//
// and the same holds for a block's scales and offsets, with vectors in place of numbers: d = s a + t b, where a is what
// the scales give of the values, b what the offsets do. Only what lowers the error is kept.
#include <algorithm>
#include <atomic>
#include <cmath>

#include "compress/gptq/gram.h"
#include "compress/gptq/stripe.h"

namespace miao::compress {

namespace {

constexpr int64_t kNear = 32;  // columns that learn at once of a code that changed; others when these are done

// Columns first .. first + n of up to 16 rows.
struct Tile {
  Stripe& s;
  int64_t row, first, n, count;
  Lanes pull[kGptqColumns];         // of the columns that are still to come
  Lanes change[kGptqColumns] = {};  // of values, in all

  const float* h(int64_t k, int64_t j) const { return s.feedback.h.data() + (first + k) * s.cols() + first + j; }
};

// Values of the columns from .. from + n became larger by d: what that does to the pulls of columns to .. end.
void pull_less(Tile& t, int64_t from, int64_t n, const Lanes* d, int64_t to, int64_t end) {
  subtract_product(t.h(from, to), t.s.cols(), n, d, end - to, t.pull + to);
}

void refine_codes(Tile& t, int64_t from, int64_t end) {
  Stripe& s = t.s;
  Lanes d[kNear] = {};
  for (int64_t k = from; k < end; ++k) {
    const int64_t col = t.first + k;
    const int group = s.group_of(col);
    const float diagonal = t.h(k, k)[0];
    bool any = false;
    for (int64_t lane = 0; lane < t.count; ++lane) {
      const size_t at = s.at(t.row + lane, col);
      const Scales& own = s.scales_at(t.row + lane, col);
      const float now = s.w[at] - s.error[at];
      const int code = nearest_code(s.f, own, group, now + t.pull[k][lane] / diagonal);
      if (code == s.codes[at]) continue;
      const float value = code_value(s.f, own, group, code);
      s.codes[at] = static_cast<int8_t>(code);
      s.error[at] = s.w[at] - value;
      d[k - from][lane] = value - now;
      any = true;
    }
    if (!any) continue;
    pull_less(t, k, 1, d + (k - from), k + 1, end);
    for (int64_t lane = 0; lane < kGptqLanes; ++lane) t.change[k][lane] += d[k - from][lane];
  }
  pull_less(t, from, end - from, d, end, t.n);
}

// v^T H u of a block, less than zero: `to` gets -H u.
void times_h(const Tile& t, int64_t b, const Lanes* u, Lanes* to) {
  const int64_t n = t.s.f.block;
  std::fill_n(&to[0][0], n * kGptqLanes, 0.0f);
  subtract_product(t.h(b, b), t.s.cols(), n, u, n, to);
}

void add_dot(const Lanes* a, const Lanes* b, int64_t n, float sign, Lanes& sum) {
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t lane = 0; lane < kGptqLanes; ++lane) sum[lane] += sign * a[i][lane] * b[i][lane];
  }
}

// Shares by which scales and offsets of a block would best grow, of each lane. a, o: what they give of values.
void best_growth(const Tile& t, int64_t b, const Lanes* a, const Lanes* o, Lanes& grow, Lanes& shift) {
  const int64_t n = t.s.f.block;
  Lanes aha = {}, aho = {}, oho = {}, pa = {}, po = {}, less[kMaxBlock];
  times_h(t, b, a, less);
  add_dot(a, less, n, -1, aha);
  add_dot(o, less, n, -1, aho);
  add_dot(a, t.pull + b, n, 1, pa);
  if (t.s.f.offset) {
    times_h(t, b, o, less);
    add_dot(o, less, n, -1, oho);
    add_dot(o, t.pull + b, n, 1, po);
  }
  for (int64_t lane = 0; lane < kGptqLanes; ++lane) {
    const float det = aha[lane] * oho[lane] - aho[lane] * aho[lane];
    const bool both = det > 1e-4f * aha[lane] * oho[lane];
    grow[lane] = both ? (pa[lane] * oho[lane] - po[lane] * aho[lane]) / det : aha[lane] > 0 ? pa[lane] / aha[lane] : 0;
    shift[lane] = both ? (po[lane] * aha[lane] - pa[lane] * aho[lane]) / det : 0;
  }
}

uint16_t grown(uint16_t f16, float share) { return f32_to_f16(f16_to_f32(f16) * (1 + share)); }

// Scales of the block that begins b columns into the tile.
void refine_scales(Tile& t, int64_t b) {
  Stripe& s = t.s;
  Lanes a[kMaxBlock] = {}, o[kMaxBlock] = {}, d[kMaxBlock] = {}, less[kMaxBlock], grow, shift, gain = {};
  for (int64_t i = 0; i < s.f.block; ++i) {
    for (int64_t lane = 0; lane < t.count; ++lane) {
      const int64_t col = t.first + b + i;
      const Scales& own = s.scales_at(t.row + lane, col);
      o[i][lane] = own.offset[s.group_of(col)];
      a[i][lane] = code_value(s.f, own, s.group_of(col), s.codes[s.at(t.row + lane, col)]) - o[i][lane];
    }
  }
  best_growth(t, b, a, o, grow, shift);
  Scales fresh[kGptqLanes];
  for (int64_t lane = 0; lane < t.count; ++lane) {
    fresh[lane] = s.scales_at(t.row + lane, t.first + b);
    fresh[lane].d = grown(fresh[lane].d, grow[lane]);
    if (s.f.offset) fresh[lane].dmin = grown(fresh[lane].dmin, shift[lane]);
    decode_scales(s.f, fresh[lane]);
    for (int64_t i = 0; i < s.f.block; ++i) {
      const int64_t col = t.first + b + i;
      const float value = code_value(s.f, fresh[lane], s.group_of(col), s.codes[s.at(t.row + lane, col)]);
      d[i][lane] = value - a[i][lane] - o[i][lane];
    }
  }
  times_h(t, b, d, less);  // gain: by so much does the error fall
  add_dot(d, t.pull + b, s.f.block, 2, gain);
  add_dot(d, less, s.f.block, 1, gain);
  bool any = false;
  for (int64_t lane = 0; lane < t.count; ++lane) {
    const bool better = gain[lane] > 0;
    any = any || better;
    if (better) s.scales_at(t.row + lane, t.first + b) = fresh[lane];
    for (int64_t i = 0; i < s.f.block; ++i) {
      if (!better)
        d[i][lane] = 0;
      else
        s.error[s.at(t.row + lane, t.first + b + i)] -= d[i][lane];
    }
  }
  if (!any) return;
  pull_less(t, b, s.f.block, d, b, t.n);
  for (int64_t i = 0; i < s.f.block; ++i) {
    for (int64_t lane = 0; lane < kGptqLanes; ++lane) t.change[b + i][lane] += d[i][lane];
  }
}

void refine_rows(Tile& t, const std::vector<float>& pull, std::vector<float>& change) {
  for (int64_t k = 0; k < t.n; ++k) {
    for (int64_t lane = 0; lane < kGptqLanes; ++lane)
      t.pull[k][lane] = lane < t.count ? pull[t.s.at(t.row + lane, t.first + k)] : 0;
  }
  for (int64_t k = 0; k < t.n; k += kNear) {
    if (k % t.s.f.block == 0 && t.s.f.stored != Stored::power_of_two) refine_scales(t, k);
    refine_codes(t, k, std::min(k + kNear, t.n));
  }
  for (int64_t lane = 0; lane < t.count; ++lane) {
    for (int64_t k = 0; k < t.n; ++k) {
      change[static_cast<size_t>((t.row + lane) * kGptqColumns + k)] = -t.change[k][lane];
    }
  }
}

}  // namespace

void refine(Stripe& s, const graph::Context& context, std::vector<float>& pull) {
  const int64_t cols = s.cols();
  std::vector<float> change(static_cast<size_t>(s.rows * kGptqColumns));  // less what values grew by
  for (int64_t first = 0; first < cols; first += kGptqColumns) {
    const int64_t n = std::min(kGptqColumns, cols - first);
    std::atomic<int64_t> next = 0;
    context.pool.run([&](Worker& worker) {
      for (int64_t tile; (tile = worker.next(next) * kGptqLanes) < s.rows;) {
        Tile t{.s = s, .row = tile, .first = first, .n = n, .count = std::min(kGptqLanes, s.rows - tile), .pull = {}};
        refine_rows(t, pull, change);
      }
    });
    add_product(context, change.data(), kGptqColumns, s.rows, s.feedback.h.data() + first, cols, cols, n, pull.data(),
                cols);
  }
}

}  // namespace miao::compress

// Attention: against a double-precision reference, and bit for bit across tables, chunks and neighbours.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/generic/test_kv.h"

namespace miao::kernels {
namespace {

constexpr KvType kElements[] = {KvType::f32, KvType::f16, KvType::bf16};
constexpr KvType kCoded[] = {KvType::int8, KvType::int4};

struct Case {
  int head_dim = 64;
  int group = 3;
  int tokens = 150;
  bool causal = true;
  int64_t window = 0;
  float softcap = 0;
  KvType kv = KvType::f16;
  bool bias = false;
};

// One sequence: queries, keys and values of all positions.
struct Sequence {
  explicit Sequence(const Case& s)
      : q(random_floats(static_cast<size_t>(s.tokens * s.group * s.head_dim), 1)),
        k(random_floats(static_cast<size_t>(s.tokens * s.head_dim), 2)),
        v(random_floats(static_cast<size_t>(s.tokens * s.head_dim), 3)),
        reach(s.tokens + kPage),
        bias(random_floats(static_cast<size_t>(s.group * (2 * reach + 1)), 4)) {}
  float bias_of(int head, int64_t distance) const {
    return bias[static_cast<size_t>(head * (2 * reach + 1) + reach + distance)];
  }
  std::vector<float> q, k, v;
  int64_t reach;
  std::vector<float> bias;  // (group, distances -reach .. reach)
};

// Pages of one table; `junk` fills what no token wrote.
struct Pages {
  Pages(const Kernels& table, const Case& s, const Sequence& sequence, bool junk) {
    const int64_t bytes = page_bytes(s.kv, s.head_dim);
    const int64_t count = (s.tokens + kPage - 1) / kPage;
    for (int64_t p = 0; p < count; ++p) {
      for (auto* list : {&k, &v}) {
        list->emplace_back(static_cast<size_t>(bytes));
        if (junk) std::memset(list->back().as(), 0x7f, static_cast<size_t>(bytes));
      }
      k_pages.push_back(k.back().as());
      v_pages.push_back(v.back().as());
    }
    for (int t = 0; t < s.tokens; ++t) {
      const int slot = t % kPage;
      const auto page = static_cast<size_t>(t / kPage);
      table.kv_of(s.kv).store_k(k[page].as(), slot, sequence.k.data() + t * s.head_dim, s.head_dim);
      table.kv_of(s.kv).store_v(v[page].as(), slot, sequence.v.data() + t * s.head_dim, s.head_dim);
    }
  }
  std::vector<Aligned> k, v;
  std::vector<const void*> k_pages, v_pages;
};

// Queries first .. first + count - 1; out has room for all tokens, row stride padded.
void attend(const Kernels& table, const Case& s, const Sequence& sequence, const Pages& pages, int first, int count,
            std::vector<float>& out) {
  Aligned scratch(static_cast<size_t>(attention_scratch(s.kv, s.head_dim, s.group)));
  AttentionArgs a;
  a.ldq = a.ldo = s.group * s.head_dim;
  a.q = sequence.q.data() + first * a.ldq;
  a.out = out.data() + first * a.ldo;
  a.queries = count;
  a.first = first;
  a.group = s.group;
  a.head_dim = s.head_dim;
  a.k_pages = pages.k_pages.data();
  a.v_pages = pages.v_pages.data();
  a.causal = s.causal;
  a.keys = s.tokens;
  a.window = s.window;
  a.scale = 1.0f / std::sqrt(static_cast<float>(s.head_dim));
  a.softcap = s.softcap;
  if (s.bias) a.bias = sequence.bias.data() + sequence.reach;
  a.ld_bias = 2 * sequence.reach + 1;
  a.scratch = scratch.as();
  table.kv_of(s.kv).attention(a);
}

std::vector<float> all_at_once(const Kernels& table, const Case& s, const Sequence& sequence, bool junk = false) {
  const Pages pages(table, s, sequence, junk);
  std::vector<float> out(sequence.q.size());
  attend(table, s, sequence, pages, 0, s.tokens, out);
  return out;
}

// Rows of `dim` values one by one.
template <class F>
std::vector<double> each_row(const std::vector<float>& rows, int dim, F f) {
  std::vector<double> out;
  for (size_t i = 0; i < rows.size(); i += static_cast<size_t>(dim)) {
    const std::vector<double> row = f(std::span(rows).subspan(i, static_cast<size_t>(dim)));
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

std::vector<double> reference(const Case& s, const Sequence& sequence) {
  const int d = s.head_dim;
  std::vector<double> out(sequence.q.size());
  const auto stored = [&](std::span<const float> row) { return stored_row(s.kv, row); };
  const std::vector<double> k = each_row(sequence.k, d, stored), v = each_row(sequence.v, d, stored);
  const std::vector<double> queries = each_row(sequence.q, d, [&](auto row) { return query_row(s.kv, row); });
  for (int t = 0; t < s.tokens; ++t) {
    const int64_t seen = s.window > 0 ? t + s.window : s.tokens;
    const int64_t end = s.causal ? t + 1 : std::min<int64_t>(seen, s.tokens);
    const int64_t begin = s.window > 0 ? std::max<int64_t>(0, t + 1 - s.window) : 0;
    for (int h = 0; h < s.group; ++h) {
      const double* q = queries.data() + (t * s.group + h) * d;
      double* to = out.data() + (t * s.group + h) * d;
      double weight = 0;
      for (int64_t j = begin; j < end; ++j) {
        double score = 0;
        for (int i = 0; i < d; ++i) score += q[i] * k[static_cast<size_t>(j * d + i)];
        score /= std::sqrt(static_cast<double>(d));
        if (s.softcap > 0) score = s.softcap * std::tanh(score / s.softcap);
        if (s.bias) score += sequence.bias_of(h, j - t);
        const double p = std::exp(score);
        weight += p;
        for (int i = 0; i < d; ++i) to[i] += p * v[static_cast<size_t>(j * d + i)];
      }
      for (int i = 0; i < d; ++i) to[i] /= weight;
    }
  }
  return out;
}

std::vector<Case> cases() {
  std::vector<Case> out;
  for (int d : {4, 20, 48, 64, 80, 96, 128, 256}) out.push_back({.head_dim = d, .group = 2, .tokens = 70});
  for (int group : {1, 2, 3, 4, 5, 6, 7, 8, 100}) out.push_back({.head_dim = 20, .group = group, .tokens = 66});
  for (KvType kv : kElements) out.push_back({.kv = kv});
  for (int64_t window : {1, 5, 64, 65, 100, 1000})
    out.push_back({.head_dim = 32, .group = 1, .tokens = 200, .window = window});
  out.push_back({.window = 40, .softcap = 5.0f});
  out.push_back({.softcap = 30.0f});
  for (int tokens : {1, 63, 64, 65, 130})
    out.push_back({.head_dim = 32, .group = 1, .tokens = tokens, .causal = false});
  out.push_back({.group = 2, .tokens = 129, .causal = false, .kv = KvType::f32});
  for (int64_t window : {1, 30, 64, 65, 500})
    out.push_back({.head_dim = 32, .group = 1, .tokens = 200, .causal = false, .window = window, .kv = KvType::f32});
  out.push_back({.head_dim = 20, .group = 2, .bias = true});
  out.push_back({.head_dim = 32, .group = 1, .causal = false, .kv = KvType::f32, .bias = true});
  for (KvType kv : kCoded) {
    for (int d : {4, 20, 48, 64, 80, 96, 128, 256}) out.push_back({.head_dim = d, .group = 2, .tokens = 70, .kv = kv});
    for (int group : {1, 2, 3, 4, 5, 6, 7, 8, 100})
      out.push_back({.head_dim = 48, .group = group, .tokens = 66, .kv = kv});
    for (int64_t window : {1, 5, 65, 100})
      out.push_back({.head_dim = 32, .group = 1, .tokens = 200, .window = window, .kv = kv});
    for (int tokens : {1, 63, 64, 65, 130})
      out.push_back({.head_dim = 32, .group = 1, .tokens = tokens, .causal = false, .kv = kv});
    out.push_back({.window = 40, .softcap = 5.0f, .kv = kv, .bias = true});
  }
  return out;
}

std::string label(const Case& s) {
  return "head_dim=" + std::to_string(s.head_dim) + " group=" + std::to_string(s.group) +
         " tokens=" + std::to_string(s.tokens) + " window=" + std::to_string(s.window) + " kv=" + kv_format(s.kv).name;
}

TEST(Attention, IsNearTheTruth) {
  for (const Case& s : cases()) {
    const Sequence sequence(s);
    const auto got = all_at_once(*tables().back(), s, sequence);
    const auto want = reference(s, sequence);
    for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 2e-5) << label(s) << " at " << i;
  }
}

TEST(Attention, SameBitsOnEveryTable) {
  const auto all = tables();
  for (const Case& s : cases()) {
    const Sequence sequence(s);
    const auto want = all_at_once(*all[0], s, sequence);
    for (const Kernels* k : all)
      ASSERT_TRUE(same_bits(all_at_once(*k, s, sequence), want)) << k->name << " " << label(s);
  }
}

TEST(Attention, SameBitsForEveryChunking) {
  const Kernels& k = *tables().back();
  for (const Case& s : cases()) {
    const Sequence sequence(s);
    const auto want = all_at_once(k, s, sequence);
    for (int chunk : {1, 2, 3, 7, 17, 33, 64}) {
      const Pages pages(k, s, sequence, false);
      std::vector<float> got(want.size());
      for (int t = 0; t < s.tokens; t += chunk) {
        attend(k, s, sequence, pages, t, std::min(chunk, s.tokens - t), got);
      }
      ASSERT_TRUE(same_bits(got, want)) << label(s) << " chunk=" << chunk;
    }
  }
}

// A query gives the same bits whether later tokens are already in its page or the page was never written there.
TEST(Attention, HiddenKeysDoNotMatter) {
  for (const Kernels* k : tables()) {
    for (const Case& s : cases()) {
      if (!s.causal) continue;
      const Sequence sequence(s);
      const auto want = all_at_once(*k, s, sequence);
      Case shorter = s;
      shorter.tokens = s.tokens / 2 + 1;
      // Junk is NaN for f32 and bf16; lanes of the padding are never read by a kernel that keeps its promise.
      const Pages pages(*k, shorter, sequence, true);
      std::vector<float> got(want.size());
      attend(*k, shorter, sequence, pages, 0, shorter.tokens, got);
      const auto n = static_cast<size_t>(shorter.tokens * s.group * s.head_dim);
      ASSERT_TRUE(same_bits({got.data(), n}, {want.data(), n})) << k->name << " " << label(s);
    }
  }
}

TEST(Attention, StoredRowsLieWhereTheLayoutSays) {
  for (const Kernels* table : tables()) {
    for (KvType kv : kElements) {
      const int d = 20, padded = 32;
      const auto row = random_floats(d, 9);
      Aligned k(static_cast<size_t>(page_bytes(kv, d))), v(static_cast<size_t>(page_bytes(kv, d)));
      const int slot = 37;
      table->kv_of(kv).store_k(k.as(), slot, row.data(), d);
      table->kv_of(kv).store_v(v.as(), slot, row.data(), d);
      const auto at = [&](Aligned& page, int index) {
        if (kv == KvType::f32) return page.as<float>()[index];
        return kv == KvType::f16 ? f16_to_f32(page.as<uint16_t>()[index]) : bf16_to_f32(page.as<uint16_t>()[index]);
      };
      for (int i = 0; i < padded; ++i) {
        for (int key = 0; key < kPage; ++key) {
          const double want = key == slot && i < d ? stored_row(kv, row)[static_cast<size_t>(i)] : 0.0;
          ASSERT_EQ(at(k, (key / 16 * padded + i) * 16 + key % 16), want);
          ASSERT_EQ(at(v, key * padded + i), want);
        }
      }
    }
  }
}

TEST(Attention, ConversionsMatchTheScalarOnes) {
  const auto all = tables();
  std::vector<float> x = random_floats(64, 5, 1e4f);
  for (float f : {0.0f, -0.0f, 65504.0f, 65519.9f, 65520.0f, 1e-8f, 3e-8f, 5.96e-8f, 6.1e-5f, 6.09e-5f, 1e-40f,
                  1.00048828f, 1.00146484f, 1.00390625f, 1.01171875f, INFINITY, -INFINITY, NAN}) {
    x.push_back(f);
  }
  const int n = static_cast<int>(x.size());
  for (const Kernels* k : all) {
    Aligned f16(static_cast<size_t>(page_bytes(KvType::f16, n))),
        bf16(static_cast<size_t>(page_bytes(KvType::bf16, n)));
    k->kv_of(KvType::f16).store_v(f16.as(), 0, x.data(), n);
    k->kv_of(KvType::bf16).store_v(bf16.as(), 0, x.data(), n);
    for (int i = 0; i < n; ++i) {
      EXPECT_EQ(f16.as<uint16_t>()[i], f32_to_f16(x[static_cast<size_t>(i)]))
          << k->name << " " << x[static_cast<size_t>(i)];
      EXPECT_EQ(bf16.as<uint16_t>()[i], f32_to_bf16(x[static_cast<size_t>(i)]))
          << k->name << " " << x[static_cast<size_t>(i)];
    }
  }
}

}  // namespace
}  // namespace miao::kernels

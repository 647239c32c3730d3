// Functions of one row: norms, rotary embedding, activations, sampling helpers, quantised activations, KV stores.
//
// Sums run in four Vec16 accumulators (vector i goes to number i % 4), then (0 + 1) + (2 + 3), then the tree of
// reduce_add: four because a fused add takes four cycles. A last part of under 16 values is padded with zeros.

#include "kernels/generic/math.inl"
#include "kernels/generic/parts.h"

namespace miao::kernels::MIAO_ISA {
namespace {

// f(values, index) -> values for every 16 values of x; the last part has lanes of no meaning.
template <class F>
inline void map(const float* x, int64_t n, float* out, F f) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) store(out + i, f(load(x + i)));
  if (i < n) store_n(out + i, f(load_n(x + i, static_cast<int>(n - i))), static_cast<int>(n - i));
}
template <class F>
inline void map2(const float* a, const float* b, int64_t n, float* out, F f) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) store(out + i, f(load(a + i), load(b + i)));
  const int rest = static_cast<int>(n - i);
  if (rest > 0) store_n(out + i, f(load_n(a + i, rest), load_n(b + i, rest)), rest);
}
template <class F>
inline void map3(const float* a, const float* b, const float* c, int64_t n, float* out, F f) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) store(out + i, f(load(a + i), load(b + i), load(c + i)));
  const int rest = static_cast<int>(n - i);
  if (rest > 0) store_n(out + i, f(load_n(a + i, rest), load_n(b + i, rest), load_n(c + i, rest)), rest);
}

// The sum over f(sum, values); f must leave a sum unchanged where the values are `pad`.
template <class F>
inline float fold(const float* x, int64_t n, float pad, F f) {
  Vec s0 = set1(0.0f), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    s0 = f(s0, load(x + i));
    s1 = f(s1, load(x + i + 16));
    s2 = f(s2, load(x + i + 32));
    s3 = f(s3, load(x + i + 48));
  }
  const auto last = [&](Vec s) {
    if (i >= n) return s;
    const int rest = n - i >= 16 ? 16 : static_cast<int>(n - i);
    const Vec v = rest == 16 ? load(x + i) : keep_lanes(load_n(x + i, rest), 0, rest, set1(pad));
    i += rest;
    return f(s, v);
  };
  s0 = last(s0);
  s1 = last(s1);
  s2 = last(s2);
  s3 = last(s3);
  return reduce_add((s0 + s1) + (s2 + s3));
}

void rms_norm(const float* x, const float* weight, int64_t n, float eps, float* out) {
  const float sum = fold(x, n, 0.0f, [](Vec s, Vec v) { return fma(v, v, s); });
  const Vec inverse = set1(1.0f / __builtin_sqrtf(sum / static_cast<float>(n) + eps));
  if (weight == nullptr) {
    map(x, n, out, [=](Vec v) { return v * inverse; });
  } else {
    map2(x, weight, n, out, [=](Vec v, Vec w) { return v * inverse * w; });
  }
}

void layer_norm(const float* x, const float* weight, const float* bias, int64_t n, float eps, float* out) {
  const float count = static_cast<float>(n);
  const float mean = fold(x, n, 0.0f, [](Vec s, Vec v) { return s + v; }) / count;
  const Vec m = set1(mean);
  const float sum = fold(x, n, mean, [=](Vec s, Vec v) { return fma(v - m, v - m, s); });
  const Vec inverse = set1(1.0f / __builtin_sqrtf(sum / count + eps));
  if (weight != nullptr && bias != nullptr) {
    map3(x, weight, bias, n, out, [=](Vec v, Vec w, Vec b) { return fma((v - m) * inverse, w, b); });
  } else if (weight != nullptr) {
    map2(x, weight, n, out, [=](Vec v, Vec w) { return (v - m) * inverse * w; });
  } else if (bias != nullptr) {
    map2(x, bias, n, out, [=](Vec v, Vec b) { return fma(v - m, inverse, b); });
  } else {
    map(x, n, out, [=](Vec v) { return (v - m) * inverse; });
  }
}

void rope(float* x, int64_t heads, int64_t head_dim, int64_t half, bool interleaved, const float* cos,
          const float* sin) {
  for (int64_t h = 0; h < heads; ++h, x += head_dim) {
    if (interleaved) {
      for (int64_t i = 0; i < half; ++i) {
        const float a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = __builtin_fmaf(-b, sin[i], a * cos[i]);
        x[2 * i + 1] = __builtin_fmaf(a, sin[i], b * cos[i]);
      }
      continue;
    }
    for (int64_t i = 0; i < half; i += 16) {
      const bool full = half - i >= 16;
      const int rest = full ? 16 : static_cast<int>(half - i);
      const auto get = [=](const float* p) { return full ? load(p) : load_n(p, rest); };
      const auto put = [=](float* p, Vec v) { full ? store(p, v) : store_n(p, v, rest); };
      const Vec a = get(x + i), b = get(x + half + i), c = get(cos + i), s = get(sin + i);
      put(x + i, fnma(b, s, a * c));
      put(x + half + i, fma(a, s, b * c));
    }
  }
}

// Calls f with the function of `act`, so that the choice is made once a row.
template <class F>
inline void with_act(Act act, F f) {
  switch (act) {
    case Act::silu:
      return f([](Vec v) { return silu(v); });
    case Act::gelu_tanh:
      return f([](Vec v) { return gelu_tanh(v); });
    case Act::gelu:
      return f([](Vec v) { return gelu(v); });
    case Act::relu:
      return f([](Vec v) { return relu(v); });
    case Act::tanh:
      return f([](Vec v) { return tanh(v); });
  }
}
void gated(Act act, const float* gate, const float* up, int64_t n, float* out) {
  with_act(act, [=](auto function) { map2(gate, up, n, out, [=](Vec g, Vec u) { return function(g) * u; }); });
}
void activate(Act act, float* x, int64_t n) {
  with_act(act, [=](auto function) { map(x, n, x, function); });
}

void add(const float* a, const float* b, int64_t n, float* out) {
  map2(a, b, n, out, [](Vec x, Vec y) { return x + y; });
}
void scale(float* x, float factor, int64_t n) {
  map(x, n, x, [=](Vec v) { return v * set1(factor); });
}
void softcap(float* x, float cap, int64_t n) {
  map(x, n, x, [=](Vec v) { return set1(cap) * tanh(v / set1(cap)); });
}

float largest(const float* x, int64_t n) {
  Vec best = set1(-__builtin_inff());
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) best = max(load(x + i), best);  // NaN never wins
  const int rest = static_cast<int>(n - i);
  if (rest > 0) best = max(keep_lanes(load_n(x + i, rest), 0, rest, best), best);
  return reduce_max(best);
}

void softmax(const float* x, int64_t n, float temperature, float* out) {
  const Vec top = set1(largest(x, n));
  const Vec factor = set1(1.0f / temperature);
  map(x, n, out, [=](Vec v) { return exp((v - top) * factor); });
  const float sum = fold(out, n, 0.0f, [](Vec s, Vec v) { return s + v; });
  scale(out, 1.0f / sum, n);
}

int64_t argmax(const float* x, int64_t n) {
  constexpr int64_t kStep = 1024;
  float best = -__builtin_inff();
  int64_t start = 0;
  for (int64_t i = 0; i < n; i += kStep) {
    const float top = largest(x + i, n - i < kStep ? n - i : kStep);
    if (top > best) {
      best = top;
      start = i;
    }
  }
  for (int64_t i = start; i < n; ++i) {
    if (x[i] == best) return i;
  }
  return 0;  // all are NaN
}

// 16 entries at a time, so that divisions and facts are vectors; only the codes go entry by entry.
void quantize(const float* x, int64_t step, int64_t count, const Quantised& out, int64_t index) {
  constexpr float kTiny = 0x1p-119f;  // the reciprocal of less would overflow; such groups count as zero
  alignas(64) float top[16] = {}, inverse[16], scale[16];
  alignas(64) int32_t sum[2][16] = {};
  for (; count > 0; count -= 16, index += 16, x += 16 * step) {
    const int n = count < 16 ? static_cast<int>(count) : 16;
    int8_t* const q = out.q + index * kGroup;
    for (int i = 0; i < n; ++i) top[i] = max_abs(load(x + i * step), load(x + i * step + 16));
    const Vec tops = load(top), zero = set1(0.0f);
    store(inverse, select_lt(tops, set1(kTiny), zero, set1(127.0f) / tops));
    store(scale, select_lt(tops, set1(kTiny), zero, tops / set1(127.0f)));
    for (int i = 0; i < n; ++i) {
      const Vec factor = set1(inverse[i]);
      sum[0][i] = store_codes(q + i * kGroup, load(x + i * step) * factor);
      sum[1][i] = store_codes(q + i * kGroup + 16, load(x + i * step + 16) * factor);
    }
    for (int i = 0; i < n; ++i) {
      if (top[i] < __builtin_inff()) continue;  // an infinity or a NaN must come out as NaN
      __builtin_memset(q + i * kGroup, 0, kGroup);
      scale[i] = __builtin_nanf("");
      sum[0][i] = sum[1][i] = 0;
    }
    // Into arrays of its own first: of 16 at a time the compiler makes vectors, of what may overlap it does not.
    alignas(64) float dsum[16], dsum16[2][16];
    alignas(64) int32_t nsum[16], nsum16[2][16];
    for (int i = 0; i < 16; ++i) {
      dsum[i] = scale[i] * static_cast<float>(sum[0][i] + sum[1][i]);
      nsum[i] = -(sum[0][i] + sum[1][i]);
      for (int h = 0; h < 2; ++h) {
        dsum16[h][i] = scale[i] * static_cast<float>(sum[h][i]);
        nsum16[h][i] = -sum[h][i];
      }
    }
    const auto put = [&](const void* from, auto* to) {
      if (n == 16) {
        __builtin_memcpy(to + index, from, 64);
      } else {
        __builtin_memcpy(to + index, from, static_cast<size_t>(n) * 4);
      }
    };
    put(scale, out.scale);
    put(dsum, out.dsum);
    put(nsum, out.nsum);
    for (int h = 0; h < 2; ++h) {
      put(dsum16[h], out.dsum16[h]);
      put(nsum16[h], out.nsum16[h]);
    }
  }
}

// Lane `slot` % 16 of each (16)-vector of a K page, see AttentionArgs.
template <class E>
void store_k(void* page, int slot, const float* k, int head_dim) {
  const int64_t d = (head_dim + 15) / 16 * 16;
  E* lane = static_cast<E*>(page) + (slot / 16) * d * 16 + slot % 16;
  for (int i = 0; i < head_dim; i += 16) {
    const int count = head_dim - i < 16 ? head_dim - i : 16;
    E part[16];
    store(part, count == 16 ? load(k + i) : load_n(k + i, count));
    for (int j = 0; j < count; ++j) lane[(i + j) * 16] = part[j];
  }
}
template <class E>
void store_v(void* page, int slot, const float* v, int head_dim) {
  const int64_t d = (head_dim + 15) / 16 * 16;
  E* row = static_cast<E*>(page) + slot * d;
  for (int i = 0; i < head_dim; i += 16) {
    store(row + i, head_dim - i >= 16 ? load(v + i) : load_n(v + i, head_dim - i));
  }
}

}  // namespace

void fill_vector(Kernels& table) {
  table.quantize = quantize;
  table.rms_norm = rms_norm;
  table.layer_norm = layer_norm;
  table.rope = rope;
  table.gated = gated;
  table.activate = activate;
  table.add = add;
  table.scale = scale;
  table.softcap = softcap;
  table.softmax = softmax;
  table.argmax = argmax;
  const auto set = [&](KvType type, auto store_k, auto store_v) {
    table.kv[static_cast<size_t>(type)].store_k = store_k;
    table.kv[static_cast<size_t>(type)].store_v = store_v;
  };
  set(KvType::f32, store_k<float>, store_v<float>);
  set(KvType::f16, store_k<F16>, store_v<F16>);
  set(KvType::bf16, store_k<BF16>, store_v<BF16>);
}

}  // namespace miao::kernels::MIAO_ISA

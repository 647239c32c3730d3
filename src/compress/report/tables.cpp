// Tables of what was tried and of what the search knew.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "compress/quantize.h"
#include "compress/report/facts.h"
#include "measure/chart.h"

namespace miao::compress {

using measure::number;
using measure::short_number;

namespace {

std::string mb(double bytes) { return fmt::format("{:.1f}", bytes / 1e6); }

// "blk.3.attn_q.weight" -> "attn_q"
std::string kind_of(const MatrixLoss& m) {
  std::string name = m.tensor;
  if (name.ends_with(".weight")) name.resize(name.size() - 7);
  if (m.layer == kOutside) return name;
  const std::string number_there = "." + std::to_string(m.layer) + ".";
  const size_t at = name.find(number_there);
  return at == std::string::npos ? name : name.substr(at + number_there.size());
}

// In the order in which a block computes; others behind, as they come.
size_t rank_of(const std::string& kind) {
  constexpr const char* known[] = {"attn_q",      "attn_k",   "attn_v", "attn_qkv",
                                   "attn_output", "ffn_gate", "ffn_up", "ffn_down"};
  return static_cast<size_t>(std::ranges::find(known, kind) - std::begin(known));
}

}  // namespace

MatrixGrid grid_of(const CompressReport& r) {
  MatrixGrid out;
  std::map<int64_t, std::vector<const MatrixLoss*>> layers;
  for (const MatrixLoss& m : r.matrices) {
    if (m.layer == kOutside) continue;
    layers[m.layer].push_back(&m);
    if (std::ranges::find(out.kinds, kind_of(m)) == out.kinds.end()) out.kinds.push_back(kind_of(m));
  }
  std::ranges::stable_sort(out.kinds, {}, rank_of);
  for (const auto& [layer, matrices] : layers) {
    MatrixGrid::Row row{.name = std::to_string(layer), .cells = std::vector<const MatrixLoss*>(out.kinds.size())};
    for (const MatrixLoss* m : matrices)
      row.cells[static_cast<size_t>(std::ranges::find(out.kinds, kind_of(*m)) - out.kinds.begin())] = m;
    out.rows.push_back(std::move(row));
  }
  for (const MatrixLoss& m : r.matrices) {
    if (m.layer == kOutside) out.rows.push_back({.name = kind_of(m), .cells = {&m}, .outside = true});
  }
  return out;
}

FactTable matrix_types(const CompressReport& r) {
  const Candidate* const c = chosen_of(r);
  const MatrixGrid grid = grid_of(r);
  if (!c || grid.rows.empty()) return {};
  FactTable out{{{"layer"}}, {}};
  for (const std::string& kind : grid.kinds) out.head.push_back({kind});
  for (const MatrixGrid::Row& row : grid.rows) {
    std::vector<measure::Cell> cells{{row.name}};
    for (const MatrixLoss* m : row.cells) {
      const auto type = m ? c->types.find(m->tensor) : c->types.end();
      cells.push_back({type == c->types.end() ? "" : format(type->second).name});
    }
    cells.resize(1 + std::max<size_t>(1, grid.kinds.size()));
    out.rows.push_back(std::move(cells));
  }
  if (grid.kinds.empty()) out.head.push_back({"type"});
  return out;
}

FactTable types(const CompressReport& r) {
  const Candidate* const c = chosen_of(r);
  if (!c) return {};
  std::map<DType, std::pair<int64_t, double>> by_type;
  double sum = 0;
  for (const MatrixLoss& m : r.matrices) {
    const auto type = c->types.find(m.tensor);
    if (type == c->types.end()) continue;
    auto& [count, bytes] = by_type[type->second];
    ++count;
    for (const TypeLoss& t : m.types) {
      if (t.type != type->second) continue;
      bytes += static_cast<double>(t.bytes), sum += static_cast<double>(t.bytes);
    }
  }
  FactTable out{{{"type"}, number("matrices"), number("MB"), number("of the bytes")}, {}};
  for (const auto& [type, of] : by_type) {
    out.rows.push_back({{format(type).name},
                        number(std::to_string(of.first)),
                        number(mb(of.second)),
                        number(sum > 0 ? fmt::format("{:.1f} %", 100 * of.second / sum) : "-")});
  }
  return out;
}

FactTable keys_and_values(const CompressReport& r) {
  const Candidate* const c = chosen_of(r);
  if (r.kv.empty()) return {};
  FactTable out{{{"keys and values in"}, number(r.wording.loss), number("more ms a request"), number("more MB")}, {}};
  for (const KvOption& kv : r.kv) {
    out.rows.push_back({{kernels::kv_format(kv.type).name, false, c && c->kv == kv.type ? "chosen" : ""},
                        number(short_number(kv.loss)),
                        number(short_number(1e3 * kv.more.request(r.request))),
                        number(mb(static_cast<double>(kv.bytes)))});
  }
  return out;
}

FactTable latency(const CompressReport& r) {
  if (r.latency.size() != 2) return {};
  const measure::LatencyReport &base = r.latency[0], &own = r.latency[1];
  FactTable out{{{""}, number("E[tau(n)], ms", "95 % interval"), {"tau(n), ms", false, "n tokens"}}, {}};
  const auto row = [&](const char* name, const measure::LatencyReport& l) {
    out.rows.push_back({{name},
                        number(short_number(1e3 * l.predicted.value), short_number(1e3 * l.predicted.ci.low) + " to " +
                                                                          short_number(1e3 * l.predicted.ci.high)),
                        {l.tau.formula()}});
  };
  row("base", base);
  row("result", own);
  out.rows.push_back(
      {{"times as fast"}, number(fmt::format("{:.2f}", base.predicted.value / own.predicted.value)), {""}});
  return out;
}

FactTable candidates(const CompressReport& r) {
  FactTable out{{{""},
                 number(r.wording.loss, r.wording.unit + "; predicted"),
                 number("speed", "bound"),
                 number("request ms", "predicted"),
                 number("MB"),
                 number("memory MB"),
                 {"budgets", false, "on the final text"}},
                {}};
  for (const Candidate& c : r.candidates) {
    std::string misses, final = "not tested";
    for (const std::string& miss : c.misses) misses += (misses.empty() ? "" : "; ") + miss;
    if (c.final_quality) {
      const auto keeps = [](const measure::Verdict& v) { return v.outcome == measure::Outcome::passes; };
      final = std::ranges::all_of(c.final_quality->verdicts, keeps) ? "passed" : "missed";
    }
    out.rows.push_back(
        {{c.name, false, &c == chosen_of(r) ? "chosen" : ""},
         number(c.quality ? short_number(loss_of(r, c)) : "-", short_number(c.predicted[kLoss])),
         c.speeds ? number(fmt::format("{:.2f}", c.speeds->ratio), fmt::format("above {:.2f}", c.speeds->ratio_low))
                  : number("-"),
         number(c.speeds ? short_number(1e3 * seconds_of(c, r.request)) : "-",
                short_number(1e3 * c.predicted[kSeconds])),
         number(mb(static_cast<double>(c.bytes))),
         number(mb(static_cast<double>(c.memory))),
         {misses.empty() ? "keeps all" : misses, false, final}});
  }
  return out;
}

FactTable references(const CompressReport& r) {
  FactTable out{{{""},
                 number(r.wording.loss, "measured on the search text"),
                 number("predicted"),
                 number("request ms", "predicted"),
                 number("MB", "predicted")},
                {}};
  for (const Reference& ref : r.references) {
    out.rows.push_back({{ref.name},
                        number(short_number(ref.loss)),
                        number(short_number(ref.predicted[kLoss])),
                        number(short_number(1e3 * ref.predicted[kSeconds])),
                        number(mb(ref.predicted[kBytes]))});
  }
  return out;
}

FactTable front_points(const CompressReport& r, const std::vector<Allocation>& front) {
  constexpr size_t kShown = 12;
  FactTable out{{number(r.wording.loss), number("request ms"), number("MB"), number("memory MB")}, {}};
  const size_t n = std::min(kShown, front.size());
  for (size_t i = 0; i < n; ++i) {
    const Costs& c = front[n > 1 ? i * (front.size() - 1) / (n - 1) : 0].total;
    out.rows.push_back({number(short_number(c[kLoss])), number(short_number(1e3 * c[kSeconds])), number(mb(c[kBytes])),
                        number(mb(c[kMemory]))});
  }
  return out;
}

FactTable mixes(const CompressReport& r) {
  FactTable out{{number("predicted " + r.wording.loss), number("measured"), number("measured by predicted")}, {}};
  const size_t n = std::min(r.additivity.predicted.size(), r.additivity.measured.size());
  for (size_t i = 0; i < n; ++i) {
    const double predicted = r.additivity.predicted[i], measured = r.additivity.measured[i];
    out.rows.push_back({number(short_number(predicted)), number(short_number(measured)),
                        number(predicted > 0 ? fmt::format("{:.2f}", measured / predicted) : "-")});
  }
  return out;
}

FactTable times(const CompressReport& r) {
  if (!r.times) return {};
  FactTable out{{{"all of a kind in"}}, {}};
  std::vector<DType> all;
  for (const TimeTable::Kind& kind : r.times->kinds()) {
    out.head.push_back(number(kind.name));
    for (const auto& [type, t] : kind.types) {
      if (std::ranges::find(all, type) == all.end()) all.push_back(type);
    }
  }
  const auto cell = [&](const Times& t) {
    return number(
        short_number(1e3 * t.request(r.request)),
        r.wording.encoder ? "" : fmt::format("{} + {}", short_number(1e3 * t.first), short_number(1e3 * t.step)));
  };
  std::ranges::sort(all);
  for (const DType type : all) {
    std::vector<measure::Cell> row{{format(type).name}};
    for (const TimeTable::Kind& kind : r.times->kinds()) {
      const auto t = kind.types.find(type);
      row.push_back(t == kind.types.end() ? number("") : cell(t->second));
    }
    out.rows.push_back(std::move(row));
  }
  return out;
}

}  // namespace miao::compress

// A search at a terminal: what was chosen, what it keeps and what it takes.
#include <fmt/format.h>

#include <map>
#include <utility>

#include "compress/compress_report.h"
#include "measure/quality_report.h"

namespace miao::compress {

std::string to_text(const CompressReport& r) {
  std::string out;
  const auto line = [&](const std::string& text) { out += text + "\n"; };
  if (r.chosen < 0) return out;
  const Candidate& c = r.candidates[static_cast<size_t>(r.chosen)];
  line(fmt::format("\n{}", r.file.string()));
  line(fmt::format("  size      {:.1f} MB, {:.2f} of {:.1f} MB", static_cast<double>(c.bytes) / 1e6,
                   static_cast<double>(c.bytes) / static_cast<double>(r.base_bytes),
                   static_cast<double>(r.base_bytes) / 1e6));
  line(fmt::format("  memory    {:.1f} MB of {:.1f} MB", static_cast<double>(c.memory) / 1e6,
                   static_cast<double>(r.base_memory) / 1e6));
  if (c.speeds) {
    const Speeds& s = *c.speeds;
    const int digits = r.wording.encoder ? 2 : 0;
    line(fmt::format("  speed     {:.2f} times ({:g} % confidence above {:.2f}) for {}: {:.{}f} ms of {:.{}f} ms",
                     s.ratio, 100 * r.level, s.ratio_low, in_words(r.request, r.wording),
                     1e3 * s.own.request(r.request), digits, 1e3 * s.base.request(r.request), digits));
    if (!r.wording.encoder)
      line(fmt::format("            first token {:.1f} ms of {:.1f} ms, each further one {:.2f} ms of {:.2f} ms",
                       1e3 * s.own.first, 1e3 * s.base.first, 1e3 * s.own.step, 1e3 * s.base.step));
  }
  if (r.final_quality) {
    const measure::Quality& q = *r.final_quality;
    const char* title = "loss";
    for (const std::string& key : r.wording.told) {
      const measure::Metric* const m = q.find(key);
      if (!m) continue;
      line(fmt::format(
          "  {:<9} {}: {}{}", std::exchange(title, ""), m->label, measure::shown(*m, m->value),
          m->ci ? fmt::format(" ({} to {})", measure::shown(*m, m->ci->low), measure::shown(*m, m->ci->high)) : ""));
    }
    line(fmt::format("            on {} that the search did not see", q.count()));
    for (const measure::Verdict& v : q.verdicts) line("  budget    " + measure::sentence(q, v));
  }
  std::map<DType, std::pair<int64_t, uint64_t>> types;
  for (const MatrixLoss& m : r.matrices) {
    const DType type = c.types.at(m.tensor);
    auto& [count, bytes] = types[type];
    ++count;
    for (const TypeLoss& t : m.types) bytes += t.type == type ? t.bytes : 0;
  }
  std::string list;
  for (const auto& [type, of] : types) {
    list += fmt::format("{}{} {} ({:.1f} MB)", list.empty() ? "" : ", ", of.first, format(type).name,
                        static_cast<double>(of.second) / 1e6);
  }
  line("  matrices  " + list);
  if (c.kv) line(std::string("  keys      and values: ") + kernels::kv_format(*c.kv).name);
  for (const std::string& miss : r.misses) line("  MISSED    " + miss);
  line(fmt::format("  search    {:.0f} s, {} candidates measured", r.seconds, r.candidates.size()));
  return out;
}

}  // namespace miao::compress

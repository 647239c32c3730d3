// The HTML form of an evaluation: the verdict, the figures, charts, and what it was measured with.
#include <fmt/format.h>

#include "measure/page.h"
#include "measure/quality_report.h"

namespace miao::measure {

namespace {

std::string paragraph(const char* css, const std::string& text) {
  return fmt::format("<p{}>{}</p>\n", *css ? fmt::format(" class=\"{}\"", css) : "", escape_html(text));
}

std::string verdicts(const Quality& q) {
  if (q.verdicts.empty()) return {};
  std::string out = fmt::format("<h2>Verdict: {}</h2>\n", name(q.outcome()));
  std::vector<IntervalRow> rows;
  for (const Verdict& v : q.verdicts) {
    out += paragraph(v.outcome == Outcome::passes ? "" : "warn", sentence(q, v));
    const double margin = v.budget.margin, upper = v.loss.upper.value_or(v.loss.value);
    rows.push_back({v.budget.metric, v.loss.value / margin, v.loss.value / margin, upper / margin,
                    v.outcome == Outcome::passes ? 3 : 2});
  }
  rows.push_back({"budget", 1, 1, 1, 0});
  out += paragraph("muted",
                   "A budget is kept when the one-sided upper bound of the loss lies below it. Where only the loss "
                   "itself does, too little was measured to tell.");
  return out +
         side_by_side(figure("Losses and their bounds", svg("Losses and their bounds", "share of the budget", rows)));
}

std::string figures(const Quality& q) {
  std::vector<std::vector<Cell>> rows;
  for (const Metric& m : q.metrics) {
    rows.push_back({{m.label},
                    number(shown(m, m.value)),
                    number(m.ci ? shown(m, m.ci->low) + " to " + shown(m, m.ci->high) : "")});
  }
  return "<h2>Figures</h2>\n" + table({{""}, number("value"), number(fmt::format("{:g} %", 100 * q.level))}, rows);
}

std::string subject(const char* title, const Subject& s) {
  std::string out = fmt::format("<h3>{}: {}</h3>\n", title, escape_html(s.model));
  out += paragraph("muted", fmt::format("{}, {} kernels, dtype {}{}{}", s.family, s.isa, s.dtype,
                                        s.kv.empty() ? "" : ", keys and values in " + s.kv,
                                        s.sha256.empty() ? "" : "; SHA-256 " + s.sha256));
  std::vector<std::vector<Cell>> rows;
  for (const runtime::KernelReport& k : s.kernels) {
    rows.push_back(
        {{k.weights}, {k.format}, {k.gemm}, number(fmt::format("{:.2f}", static_cast<double>(k.bytes) / 1e6))});
  }
  return out + table({{"weights"}, {"format"}, {"kernel"}, number("MB a token")}, rows);
}

}  // namespace

std::string to_html(const QualityReport& report) {
  const Quality& q = report.quality;
  std::string out = "<h1>" + escape_html(report.model.model) + "</h1>\n";
  if (report.base) out += paragraph("", "against " + report.base->model);
  out +=
      paragraph("muted", fmt::format("{}, {}; miao {}, {}", q.count(), report.data.name, report.version, report.date));
  out += verdicts(q) + figures(q);
  for (const std::string& note : q.notes) out += paragraph("muted", note);
  std::string charts;
  for (const Chart& chart : q.charts) charts += figure(chart);
  out += side_by_side(charts);
  out += "<h2>Measured with</h2>\n";
  out += paragraph("muted", fmt::format("{}, {} cores, {}; {:.1f} s", report.machine.brand,
                                        report.machine.limits.physical_cores, report.machine.kernel, report.seconds));
  out += paragraph("muted",
                   fmt::format("{}: {} bytes, SHA-256 {}", report.data.name, report.data.bytes, report.data.sha256));
  out += "<p class=\"muted\"><code>" + escape_html(report.command) + "</code></p>\n";
  out += subject("Model", report.model);
  if (report.base) out += subject("Base", *report.base);
  return page("miao eval: " + report.model.model, out);
}

}  // namespace miao::measure

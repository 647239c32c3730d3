// The HTML form of a search: the verdict, base and result side by side, fronts, the map of types, and what all of it
// rests on.
#include <fmt/format.h>

#include "compress/compress_report.h"
#include "compress/report/charts.h"
#include "compress/report/facts.h"
#include "measure/page.h"

namespace miao::compress {

using measure::escape_html;

namespace {

std::string paragraph(const std::string& text, const char* css = "") {
  return fmt::format("<p{}>{}</p>\n", *css ? fmt::format(" class=\"{}\"", css) : "", escape_html(text));
}
std::string muted(const std::string& text) { return paragraph(text, "muted"); }

std::string html(const FactTable& t) { return t.rows.empty() ? "" : measure::table(t.head, t.rows); }

std::string titled(const char* title, const FactTable& t) {
  return t.rows.empty() ? "" : fmt::format("<div><h3>{}</h3>\n{}</div>\n", title, html(t));
}

std::string section(const char* title, const std::string& body) {
  return body.empty() ? "" : fmt::format("<h2>{}</h2>\n{}", title, body);
}

std::string fronts(const CompressReport& r) {
  const std::string figures = front_figures(r);
  if (figures.empty()) return {};
  return muted(
             "Lower is better, and so is more to the left. Types that others take and controls were measured on the "
             "search text, candidates on the verification text with their intervals. Predictions know nothing of GPTQ, "
             "which candidates are built with: those may lie below the front.") +
         figures;
}

std::string map(const CompressReport& r) {
  const std::string figure = heat_figure(r);
  if (figure.empty()) return {};
  return muted("The stronger the colour, the more the model loses when that matrix alone is in the coarse type.") +
         measure::side_by_side(figure + titled("Types of the result", types(r)));
}

std::string lengths_section(const CompressReport& r) {
  const std::string figure = latency_figure(r);
  if (figure.empty()) return {};
  const measure::LatencyReport& base = r.latency[0];
  return muted(fmt::format("Inputs that are read one at a time, lengths {}, {:.1f} tokens in the mean.", base.lengths,
                           base.mean_length)) +
         measure::side_by_side(figure + titled("Expected latency", latency(r)));
}

std::string checks(const CompressReport& r) {
  const std::string figures = loss_check_figure(r) + time_check_figure(r);
  if (figures.empty()) return {};
  return paragraph(additivity(r)) + measure::side_by_side(figures);
}

std::string time_section(const CompressReport& r) {
  const FactTable t = times(r);
  if (t.rows.empty()) return {};
  return muted(times_in_words(r)) + html(t) + titled("Keys and values, beside the model as it is", keys_and_values(r));
}

std::string statistics_section(const CompressReport& r) {
  std::string out;
  if (r.final_quality) {
    out += muted(
        "Candidates were judged on the verification text, as often as need be. Those that passed were tested on the "
        "final text in an order fixed before, the least predicted loss first, until one missed: the bound of the last "
        "that passed holds at its level, however many there were. Intervals are from a bootstrap over " +
        r.wording.item + "s.");
  }
  return out + html(statistics(r)) + titled("Sets of text", sets(r)) +
         (r.sets.empty() ? "" : muted("Text: " + r.text_name + ". The sets share nothing."));
}

std::string made_with(const CompressReport& r, const ReportContext& context) {
  std::string out = paragraph(machine(r, context));
  for (const std::string& line : energy(r, context)) out += paragraph(line);
  out += muted(origin(r, context));
  out += muted("The search again:") + "<pre>" + escape_html(context.command) + "</pre>\n";
  if (chosen_of(r)) out += muted("The same bytes again: reproduce.sh, beside this page.");
  return out;
}

}  // namespace

std::string to_html(const CompressReport& r, const ReportContext& context) {
  std::string out = "<h1>" + escape_html(title_of(r) + ": " + headline(r)) + "</h1>\n";
  out += paragraph(verdict(r), r.kept ? "" : "warn");
  out += measure::side_by_side(titled("Base and result", comparison(r)) + titled("Budgets", budgets(r)));
  out += section("What can be had", fronts(r));
  out += section("Where it matters", map(r));
  out += section("Lengths of inputs", lengths_section(r));
  out += section("Predicted and measured", checks(r));
  out += section("Candidates", html(candidates(r)));
  out += section("What others take, and controls", html(references(r)));
  out += section("Times by kind and type", time_section(r));
  out += section("Statistics of the result", statistics_section(r));
  out += section("Measured with", made_with(r, context));
  return measure::page("miao compress: " + title_of(r), out);
}

}  // namespace miao::compress

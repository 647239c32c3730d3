// The Markdown form of a search: the sentences and tables of the HTML page.
#include <fmt/format.h>

#include "compress/compress_report.h"
#include "compress/report/facts.h"
#include "measure/page.h"

namespace miao::compress {

namespace {

// Names of files may hold what Markdown takes for its own.
std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
      continue;
    }
    if (std::string_view("\\`*_[]|").find(c) != std::string_view::npos) out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

// Of an indented block of code, which a line without indent would end.
std::string escape_code(std::string text) {
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 5) text.insert(at + 1, "    ");
  return text;
}

std::string section(const char* title, const FactTable& t, const std::string& words = {}) {
  if (t.rows.empty()) return {};
  return fmt::format("\n## {}\n\n{}{}", title, words.empty() ? "" : words + "\n\n",
                     measure::markdown_table(t.head, t.rows));
}

}  // namespace

std::string to_markdown(const CompressReport& r, const ReportContext& context) {
  std::string out = fmt::format("# {}: {}\n\n{}\n", escape(title_of(r)), headline(r), escape(verdict(r)));
  out += section("Base and result", comparison(r));
  out += section("Budgets", budgets(r));
  out += section("What can be had: loss against time", front_points(r, r.front_time),
                 "Some mixes of the predicted front.");
  out += section("What can be had: loss against size", front_points(r, r.front_size),
                 "Some mixes of the predicted front.");
  out += section("What can be had: loss against memory", front_points(r, r.front_memory),
                 "Some mixes of the predicted front.");
  out += section("What others take, and controls", references(r));
  out += section("Candidates", candidates(r));
  out += section("Chosen types", matrix_types(r));
  out += section("Types of the result", types(r));
  out += section("Predicted and measured losses of random mixes", mixes(r), additivity(r));
  out += section("Expected latency over lengths of inputs", latency(r));
  out += section("Times by kind and type", times(r), times_in_words(r));
  out += section("Keys and values, beside the model as it is", keys_and_values(r));
  out += section("Statistics of the result", statistics(r));
  out += section("Sets of text", sets(r), "Text: " + escape(r.text_name) + ". The sets share nothing.");
  out += "\n## Measured with\n\n" + escape(machine(r, context)) + "\n\n";
  for (const std::string& line : energy(r, context)) out += escape(line) + "\n\n";
  out += escape(origin(r, context)) + "\n\n    " + escape_code(context.command) + "\n";
  return out;
}

}  // namespace miao::compress

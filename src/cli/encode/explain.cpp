// What a classification rests on: on a terminal the text in colours, otherwise a table of its words; or a page.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/file.h"
#include "base/json.h"
#include "cli/encode/tasks.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "measure/chart.h"
#include "measure/page.h"
#include "models/spec.h"
#include "runtime/explain.h"

namespace miao::cli {

namespace {

constexpr const char* kMethod = "each word's number is what the score loses when the word is left out";

double largest(const runtime::Explanation& e) {
  double most = 1e-9;
  for (const runtime::WordShare& w : e.words) most = std::max(most, std::fabs(double{w.share}));
  return most;
}

// Calls between(text) and word(text, share) in the order of the text.
template <class Between, class Word>
void walk(std::string_view text, const runtime::Explanation& e, Between&& between, Word&& word) {
  uint32_t done = 0;
  for (const runtime::WordShare& w : e.words) {
    if (w.range.begin > done) between(slice(text, {done, w.range.begin}));
    word(slice(text, w.range), w.share);
    done = std::max(done, w.range.end);
  }
  between(text.substr(done));
}

std::string coloured(std::string_view text, const runtime::Explanation& e) {
  // Backgrounds of the cube of 256 colours, from faint to strong.
  constexpr const char *kFor[] = {"48;5;22;97", "48;5;28;97", "48;5;34;97"},
                       *kAgainst[] = {"48;5;52;97", "48;5;88;97", "48;5;124;97"};
  const Style style(STDOUT_FILENO);
  const double most = largest(e);
  std::string out;
  walk(
      text, e, [&](std::string_view s) { out += printable(s); },
      [&](std::string_view s, float share) {
        const double part = std::fabs(double{share}) / most;
        if (part < 0.1) {
          out += printable(s);
          return;
        }
        out += style.paint((share > 0 ? kFor : kAgainst)[part < 0.4 ? 0 : part < 0.7 ? 1 : 2], printable(s));
      });
  return out;
}

std::string html_of(std::string_view text, const runtime::Explanation& e, const std::string& label) {
  const double most = largest(e);
  std::string out = "<h2>" + measure::escape_html(label) + " " + number("%.3f", double{e.score}) +
                    "</h2>\n<p style=\"white-space:pre-wrap\">";
  walk(
      text, e, [&](std::string_view s) { out += measure::escape_html(s); },
      [&](std::string_view s, float share) {
        const std::string strength = number("%.2f", 0.75 * std::fabs(double{share}) / most);
        out += "<span style=\"border-radius:3px;padding:0 1px;background:rgba(" +
               std::string(share > 0 ? "30,150,70," : "205,50,50,") + strength + ")\" title=\"" +
               number("%+.4f", double{share}) + "\">" + measure::escape_html(s) + "</span>";
      });
  return out + "</p>\n";
}

}  // namespace

Result<int> print_explanations(const TaskRun& run) {
  const std::vector<std::string>& texts = run.o.texts;
  const std::vector<std::string>& labels = run.encoder.spec().head.labels;
  Json object = head_of(run);
  object["method"] = "leave one word out";
  object["results"] = Json::array();
  std::string body;
  int code = kOk;
  const bool page = !run.o.explain_file.empty(), colour = use_colour(STDOUT_FILENO);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto e = runtime::explain(run.encoder, texts[i], {.truncate = run.o.truncate, .cancel = &interrupted()});
    if (!e.ok() && e.error().code == Code::cancelled) return e.error();
    if (!e.ok()) {
      object["results"].push_back(report(e.error(), i));
      code = kFailed;
      continue;
    }
    const std::string& label = labels[e->label];
    Json words = Json::array();
    Table table({{"SHARE", true}, {"WORD"}});
    for (const runtime::WordShare& w : e->words) {
      const std::string_view word = slice(texts[i], w.range);
      words.push_back({{"share", w.share}, {"begin", w.range.begin}, {"end", w.range.end}, {"text", word}});
      table.add({number("%+.4f", double{w.share}), printable(word)});
    }
    object["results"].push_back({{"label", label}, {"score", e->score}, {"words", std::move(words)}});
    if (page) {
      body += html_of(texts[i], *e, label);
    } else if (!run.common.json) {
      out().line(printable(label) + " " + number("%.3f", double{e->score}) + "; " + kMethod);
      if (colour) out().line(coloured(texts[i], *e));
      if (!e->words.empty()) out().write(table.str());
      if (i + 1 < texts.size()) out().line("");
    }
  }
  if (run.common.json) out().line(dump_json(object));
  if (page) {
    body = "<h1>" + measure::escape_html(run.o.model) + "</h1>\n<p class=\"muted\">" +
           "Leave one word out: green words speak for the class, red ones against it; " + kMethod + ".</p>\n" + body;
    MIAO_CHECK_OK(write_file_atomic(run.o.explain_file, measure::page("What " + run.o.model + " goes by", body)));
  }
  return code;
}

}  // namespace miao::cli

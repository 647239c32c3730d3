// Entities of texts, answers to a question, documents in the order in which they answer a query.
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "base/json.h"
#include "cli/encode/tasks.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "runtime/answer.h"
#include "runtime/entities.h"
#include "runtime/rerank.h"

namespace miao::cli {

namespace {

Json span_of(std::string_view text, prep::ByteRange range, float score) {
  Json object;
  object["score"] = score;
  object["begin"] = range.begin;
  object["end"] = range.end;
  object["text"] = slice(text, range);
  return object;
}

runtime::Aggregation aggregation_of(const std::string& name) {
  using runtime::Aggregation;
  return name == "first"     ? Aggregation::first
         : name == "average" ? Aggregation::average
         : name == "max"     ? Aggregation::max
                             : Aggregation::simple;
}

// The text with its entities as [words LABEL].
std::string marked(std::string_view text, const runtime::Entities& entities) {
  const Style style(STDOUT_FILENO);
  std::string out;
  uint32_t done = 0;
  for (const runtime::Entity& e : entities) {
    out += printable(slice(text, {done, e.range.begin}));
    out += style.dim("[") + style.bold(printable(slice(text, e.range))) + " " + style.paint("36", printable(e.label)) +
           style.dim("]");
    done = e.range.end;
  }
  return out + printable(text.substr(done));
}

}  // namespace

Result<int> print_entities(const TaskRun& run) {
  const std::vector<std::string>& texts = run.o.texts;
  MIAO_TRY(const auto found,
           runtime::find_entities(run.encoder, texts,
                                  {.aggregation = aggregation_of(run.o.aggregation), .cancel = &interrupted()}));
  Json object = head_of(run);
  object["results"] = Json::array();
  Table table({{"#", true}, {"SCORE", true}, {"LABEL"}, {"BYTES"}, {"TEXT"}});
  int code = kOk;
  bool any = false;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!found[i].ok()) {
      object["results"].push_back(report(found[i].error(), i));
      code = kFailed;
      continue;
    }
    Json list = Json::array();
    for (const runtime::Entity& e : *found[i]) {
      list.push_back(span_of(texts[i], e.range, e.score));
      list.back()["label"] = e.label;
      table.add({std::to_string(i + 1), number("%.3f", double{e.score}), printable(e.label),
                 std::to_string(e.range.begin) + "-" + std::to_string(e.range.end),
                 printable(slice(texts[i], e.range))});
      any = true;
    }
    object["results"].push_back({{"entities", std::move(list)}});
    if (!run.common.json) out().line(marked(texts[i], *found[i]));
  }
  if (run.common.json) {
    out().line(dump_json(object));
  } else if (any) {
    out().write("\n" + table.str());
  }
  return code;
}

Result<int> print_answers(const TaskRun& run) {
  constexpr size_t kAnswers = 3;
  const std::vector<std::string>& texts = run.o.texts;
  Json object = head_of(run);
  object["question"] = *run.o.question;
  object["results"] = Json::array();
  Table table({{"#", true}, {"SCORE", true}, {"BYTES"}, {"ANSWER"}});
  int code = kOk;
  bool any = false;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto found =
        runtime::find_answers(run.encoder, *run.o.question, texts[i], {.count = kAnswers, .cancel = &interrupted()});
    if (!found.ok() && found.error().code == Code::cancelled) return found.error();
    if (!found.ok()) {
      object["results"].push_back(report(found.error(), i));
      code = kFailed;
      continue;
    }
    any = true;
    Json list = Json::array();
    // No answer is one of the answers, where the model knows it.
    std::vector<std::string> none{std::to_string(i + 1), number("%.3f", double{found->none}), "", "(no answer)"};
    bool none_shown = found->best.empty();
    for (const runtime::Answer& a : found->best) {
      list.push_back(span_of(texts[i], a.range, a.score));
      if (!none_shown && found->none > a.score) {
        table.add(none);
        none_shown = true;
      }
      table.add({std::to_string(i + 1), number("%.3f", double{a.score}),
                 std::to_string(a.range.begin) + "-" + std::to_string(a.range.end),
                 printable(slice(texts[i], a.range))});
    }
    object["results"].push_back({{"answers", std::move(list)}, {"no_answer", found->none}});
  }
  if (run.common.json) {
    out().line(dump_json(object));
  } else if (any) {
    out().write(table.str());
  }
  return code;
}

Result<int> print_ranking(const TaskRun& run) {
  const std::vector<std::string>& texts = run.o.texts;
  MIAO_TRY(const auto scores,
           runtime::rerank(run.encoder, *run.o.query, texts, {.truncate = run.o.truncate, .cancel = &interrupted()}));
  Json object = head_of(run);
  object["query"] = *run.o.query;
  object["results"] = Json::array();
  std::vector<size_t> order;
  Json errors = Json::array();
  for (size_t i = 0; i < texts.size(); ++i) {
    if (scores[i].ok()) {
      order.push_back(i);
      continue;
    }
    errors.push_back(report(scores[i].error(), i));
    errors.back()["index"] = i;
  }
  std::ranges::stable_sort(order, std::ranges::greater(), [&](size_t i) { return *scores[i]; });
  Table table({{"SCORE", true}, {"#", true}, {"TEXT"}});
  for (const size_t i : order) {
    object["results"].push_back({{"index", i}, {"score", *scores[i]}, {"text", texts[i]}});
    table.add({number("%.4f", double{*scores[i]}), std::to_string(i + 1), printable(texts[i])});
  }
  if (!errors.empty()) object["errors"] = errors;
  if (run.common.json) {
    out().line(dump_json(object));
  } else if (!order.empty()) {
    out().write(table.str());
  }
  return static_cast<int>(errors.empty() ? kOk : kFailed);
}

}  // namespace miao::cli

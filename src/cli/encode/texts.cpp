// See texts.h. Standard output: with --json one object; else a line of numbers for one embedding or each of many, a
// table of cosines for a few, a table of labels for classifiers.
#include "cli/encode/texts.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/json.h"
#include "base/log.h"
#include "cli/app.h"
#include "cli/encode/tasks.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "models/spec.h"
#include "runtime/classify.h"
#include "runtime/embed.h"

namespace miao::cli {

namespace {

using Task = models::HeadSpec::Task;

constexpr size_t kTableTexts = 20;  // more cosines than that nobody reads

struct NamedTask {
  std::string_view name;  // of --task
  Task head;
  std::string_view what;
  Result<int> (*print)(const TaskRun& run);
};
constexpr NamedTask kTasks[] = {
    {"embed", Task::embedding, "vectors of texts", print_embeddings},
    {"classify", Task::sequence, "classes of texts", print_classes},
    {"rerank", Task::sequence, "documents for a query", print_ranking},
    {"entities", Task::tokens, "labels of words", print_entities},
    {"answer", Task::span, "answers to questions", print_answers},
};

// What the flags ask for, or what the head is for.
std::string_view task_of(const EncodeOptions& o, Task head) {
  if (!o.task.empty()) return o.task;
  if (o.question) return "answer";
  if (o.query) return "rerank";
  if (o.explain) return "classify";
  return std::ranges::find(kTasks, head, &NamedTask::head)->name;
}

Error no_head(const NamedTask& wanted, Task head, const std::filesystem::path& path) {
  std::string message = "the model has no head for " + std::string(wanted.what) + "; it has one for ";
  std::string has;
  for (const NamedTask& t : kTasks) {
    if (t.head == head && head != Task::embedding) {
      has += (has.empty() ? "" : " and ") + std::string(t.what) + " (--task " + std::string(t.name) + ")";
    }
  }
  message = has.empty() ? "the model has no head for " + std::string(wanted.what) + "; it gives vectors alone"
                        : message + has + ", and gives vectors with --task embed";
  return {Code::unsupported, std::move(message), path.string()};
}

// Flags without which a task means nothing, and flags that mean nothing to it.
Result<void> check_flags(const EncodeOptions& o, std::string_view task) {
  const auto wrong = [](std::string message) { return Error{Code::invalid, std::move(message), "run"}; };
  if (task == "answer" && !o.question) return wrong("the model answers questions: give --question and texts");
  if (task == "rerank" && !o.query) return wrong("--task rerank needs --query and documents");
  if (task != "answer" && o.question) return wrong("--question is for --task answer");
  if (task != "rerank" && o.query) return wrong("--query is for --task rerank");
  if (task != "classify" && o.explain) return wrong("--explain is for models that classify texts");
  if (task != "entities" && !o.aggregation.empty()) return wrong("--aggregation is for models that label words");
  if (o.texts.empty()) return wrong("there is no text");
  return {};
}

}  // namespace

std::string number(const char* form, double value) {
  char text[32];
  std::snprintf(text, sizeof text, form, value);
  return text;
}

Json head_of(const TaskRun& run) {
  Json object;
  object["model"] = run.o.model;
  object["isa"] = run.encoder.isa();
  return object;
}

std::string_view slice(std::string_view text, prep::ByteRange range) {
  return text.substr(range.begin, range.end - range.begin);
}

Json report(const Error& error, size_t text) {
  const Error placed = Error(error).at("text " + std::to_string(text + 1));
  print_error(placed);
  return {{"error", placed.message}};
}

int Readable::code() const { return places.size() == errors.size() ? kOk : kFailed; }

Result<Readable> readable(const TaskRun& run, int64_t limit, const std::string& prompt) {
  MIAO_TRY(const prep::Tokenizer* tokenizer, run.encoder.tokenizer());
  Readable out;
  for (size_t i = 0; i < run.o.texts.size(); ++i) {
    const auto ids = runtime::encode_text(*tokenizer, prompt + run.o.texts[i], limit, run.o.truncate);
    if (ids.ok() && !ids->empty()) {
      out.places.push_back(i);
      out.texts.push_back(run.o.texts[i]);
      out.errors.emplace_back();
    } else {
      out.errors.push_back(ids.ok() ? "it has no tokens" : ids.error().message);
      report(ids.ok() ? Error{Code::invalid, "it has no tokens", {}} : ids.error(), i);
    }
  }
  return out;
}

Result<int> print_embeddings(const TaskRun& run) {
  std::string prompt;  // which embed() puts in front
  const auto& sentence = run.encoder.spec().sentence;
  if (sentence && !sentence->default_prompt.empty()) {
    MIAO_TRY(prompt, runtime::find_prompt(run.encoder, sentence->default_prompt));
  }
  MIAO_TRY(const Readable good, readable(run, runtime::text_limit(run.encoder), prompt));
  const std::vector<std::string>& texts = good.texts;
  MIAO_TRY(const std::vector<float> rows,
           runtime::embed(run.encoder, texts, {.truncate = run.o.truncate, .cancel = &interrupted()}));
  const auto dim = static_cast<size_t>(run.encoder.spec().dim);
  const auto row = [&](size_t i) { return std::span(rows).subspan(i * dim, dim); };
  if (run.common.json) {
    Json object = head_of(run);
    object["dim"] = dim;
    object["embeddings"] = Json::array();
    for (size_t i = 0, next = 0; i < good.errors.size(); ++i) {
      const bool read = good.errors[i].empty();
      object["embeddings"].push_back(read ? Json(row(next)) : Json{{"error", good.errors[i]}});
      if (read) ++next;
    }
    out().line(dump_json(object));
    return good.code();
  }
  if (texts.size() <= 1 || texts.size() > kTableTexts) {
    for (size_t i = 0; i < texts.size(); ++i) {
      std::string line;
      for (const float x : row(i)) line += (line.empty() ? "" : " ") + number("%.6g", double{x});
      out().line(line);
    }
    return good.code();
  }
  // Cosines of each text with those before it.
  const auto cosine = [&](size_t a, size_t b) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < dim; ++i) {
      const double x = double{row(a)[i]}, y = double{row(b)[i]};
      ab += x * y, aa += x * x, bb += y * y;
    }
    return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
  };
  std::vector<Table::Column> columns{{"#", true}};
  for (size_t i = 0; i + 1 < texts.size(); ++i) columns.push_back({std::to_string(good.places[i] + 1), true});
  columns.push_back({"TEXT"});
  Table table(columns);
  for (size_t i = 0; i < texts.size(); ++i) {
    std::vector<std::string> cells{std::to_string(good.places[i] + 1)};
    for (size_t j = 0; j + 1 < texts.size(); ++j) cells.push_back(j < i ? number("%.3f", cosine(i, j)) : "");
    cells.push_back(printable(texts[i]));
    table.add(std::move(cells));
  }
  out().write(table.str());
  return good.code();
}

Result<int> print_classes(const TaskRun& run) {
  MIAO_TRY(const Readable good, readable(run, run.encoder.ctx()));
  const std::vector<std::string>& texts = good.texts;
  MIAO_TRY(const std::vector<float> scores,
           runtime::classify(run.encoder, texts, {.truncate = run.o.truncate, .cancel = &interrupted()}));
  const std::vector<std::string>& labels = run.encoder.spec().head.labels;
  Json object = head_of(run);
  object["results"] = Json::array();
  for (const auto& error : good.errors) object["results"].push_back(error.empty() ? Json() : Json{{"error", error}});
  Table table({{"SCORE", true}, {"LABEL"}, {"TEXT"}});
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto row = std::span(scores).subspan(i * labels.size(), labels.size());
    const auto best = static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    table.add({number("%.3f", double{row[best]}), printable(labels[best]), printable(texts[i])});
    Json& result = object["results"][good.places[i]];
    result["label"] = labels[best];
    result["score"] = row[best];
    for (size_t c = 0; c < labels.size(); ++c) result["scores"][labels[c]] = row[c];
  }
  if (run.common.json) {
    out().line(dump_json(object));
  } else if (!texts.empty()) {
    out().write(table.str());
  }
  return good.code();
}

std::vector<std::string> lines_of(std::string_view input) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < input.size();) {
    const size_t end = std::min(input.find('\n', at), input.size());
    std::string line(input.substr(at, end - at));
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
    at = end + 1;
  }
  return lines;
}

Result<int> run_encoder(const EncodeOptions& o, const Common& common, const std::filesystem::path& path) {
  runtime::EncoderOptions options;
  options.threads = o.engine.threads;
  options.compute = o.engine.options().compute;
  options.ctx = o.engine.ctx;
  options.packs = o.engine.options().packs;
  options.cancel = &interrupted();
  if (o.task == "embed") options.rows = models::Rows::sentence;
  MIAO_TRY(const auto encoder, runtime::Encoder::open(path, options));
  for (const auto& group : encoder->kernels()) {
    log_info(group.weights + ": " + group.format + ", " + group.gemv + ", " + group.gemm);
  }
  const Task head = encoder->spec().head.task;
  const NamedTask& task = *std::ranges::find(kTasks, task_of(o, head), &NamedTask::name);
  if (task.head != head) return no_head(task, head, path);
  MIAO_CHECK_OK(check_flags(o, task.name));
  const TaskRun run{o, common, *encoder};
  return o.explain ? print_explanations(run) : task.print(run);
}

}  // namespace miao::cli

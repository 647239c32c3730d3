// See texts.h. Standard output: with --json one object; else a line of numbers for one embedding or each of many, a
// table of cosines for a few, a table of labels for classifiers.
#include "cli/encode/texts.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/json.h"
#include "base/log.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "models/spec.h"
#include "runtime/classify.h"
#include "runtime/embed.h"
#include "runtime/encoder.h"

namespace miao::cli {

namespace {

using Task = models::HeadSpec::Task;

constexpr size_t kTableTexts = 20;  // more cosines than that nobody reads

std::string number(const char* form, double value) {
  char text[32];
  std::snprintf(text, sizeof text, form, value);
  return text;
}

Json head_of(const EncodeOptions& o, const runtime::Encoder& encoder) {
  Json object;
  object["model"] = o.model;
  object["isa"] = encoder.isa();
  return object;
}

Result<int> print_embeddings(const EncodeOptions& o, const Common& common, runtime::Encoder& encoder) {
  const std::vector<std::string>& texts = o.texts;
  MIAO_TRY(const std::vector<float> rows,
           runtime::embed(encoder, texts, {.truncate = o.truncate, .cancel = &interrupted()}));
  const auto dim = static_cast<size_t>(encoder.spec().dim);
  const auto row = [&](size_t i) { return std::span(rows).subspan(i * dim, dim); };
  if (common.json) {
    Json object = head_of(o, encoder);
    object["dim"] = dim;
    object["embeddings"] = Json::array();
    for (size_t i = 0; i < texts.size(); ++i) object["embeddings"].push_back(row(i));
    out().line(dump_json(object));
    return static_cast<int>(kOk);
  }
  if (texts.size() == 1 || texts.size() > kTableTexts) {
    for (size_t i = 0; i < texts.size(); ++i) {
      std::string line;
      for (const float x : row(i)) line += (line.empty() ? "" : " ") + number("%.6g", double{x});
      out().line(line);
    }
    return static_cast<int>(kOk);
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
  for (size_t i = 0; i + 1 < texts.size(); ++i) columns.push_back({std::to_string(i + 1), true});
  columns.push_back({"TEXT"});
  Table table(columns);
  for (size_t i = 0; i < texts.size(); ++i) {
    std::vector<std::string> cells{std::to_string(i + 1)};
    for (size_t j = 0; j + 1 < texts.size(); ++j) cells.push_back(j < i ? number("%.3f", cosine(i, j)) : "");
    cells.push_back(printable(texts[i]));
    table.add(std::move(cells));
  }
  out().write(table.str());
  return static_cast<int>(kOk);
}

Result<int> print_classes(const EncodeOptions& o, const Common& common, runtime::Encoder& encoder) {
  const std::vector<std::string>& texts = o.texts;
  MIAO_TRY(const std::vector<float> scores,
           runtime::classify(encoder, texts, {.truncate = o.truncate, .cancel = &interrupted()}));
  const std::vector<std::string>& labels = encoder.spec().head.labels;
  Json object = head_of(o, encoder);
  object["results"] = Json::array();
  Table table({{"SCORE", true}, {"LABEL"}, {"TEXT"}});
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto row = std::span(scores).subspan(i * labels.size(), labels.size());
    const auto best = static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    table.add({number("%.3f", double{row[best]}), printable(labels[best]), printable(texts[i])});
    Json result;
    result["label"] = labels[best];
    result["score"] = row[best];
    for (size_t c = 0; c < labels.size(); ++c) result["scores"][labels[c]] = row[c];
    object["results"].push_back(std::move(result));
  }
  if (common.json) {
    out().line(dump_json(object));
  } else {
    out().write(table.str());
  }
  return static_cast<int>(kOk);
}

}  // namespace

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
  MIAO_TRY(const auto encoder, runtime::Encoder::open(path, options));
  for (const auto& group : encoder->kernels()) {
    log_info(group.weights + ": " + group.format + ", " + group.gemv + ", " + group.gemm);
  }
  switch (encoder->spec().head.task) {
    case Task::embedding:
      return print_embeddings(o, common, *encoder);
    case Task::sequence:
      return print_classes(o, common, *encoder);
    default:
      return Error{Code::unsupported, "the task of this model's head is not offered by miao run", path.string()};
  }
}

}  // namespace miao::cli

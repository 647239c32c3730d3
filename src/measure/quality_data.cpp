#include "measure/quality_data.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>

#include "base/file.h"
#include "base/json.h"

namespace miao::measure {

namespace {

struct Line {
  std::string_view text;
  std::string place;  // "file.tsv:12"
};

std::string_view trimmed(std::string_view text) {
  constexpr const char* kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

Result<std::vector<Line>> lines_of(std::string_view text, std::string_view where) {
  MIAO_CHECK_OK(check_text(text, where));
  std::vector<Line> out;
  size_t number = 1;
  for (size_t at = text.starts_with("\xef\xbb\xbf") ? 3 : 0; at < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!trimmed(line).empty()) out.push_back({line, std::string(where) + ":" + std::to_string(number)});
    at = end + 1;
  }
  if (out.empty()) return Error{Code::invalid, "holds no items", std::string(where)};
  return out;
}

std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> out;
  for (;;) {
    const size_t at = line.find('\t');
    out.push_back(trimmed(line.substr(0, at)));
    if (at == std::string_view::npos) return out;
    line.remove_prefix(at + 1);
  }
}

bool names_columns(std::string_view line) {
  constexpr std::string_view kNames[] = {"prompt",    "question",  "answer", "choices", "choice",
                                         "text",      "sentence",  "label",  "text1",   "text2",
                                         "sentence1", "sentence2", "score",  "audio",   "path"};
  return std::ranges::all_of(cells_of(line), [&](std::string_view cell) {
    while (!cell.empty() && cell.back() >= '0' && cell.back() <= '9' && cell.starts_with("choice"))
      cell.remove_suffix(1);
    return std::ranges::find(kNames, cell) != std::end(kNames);
  });
}

// Items of a file, by a reader of objects and one of cells.
template <class T, class FromJson, class FromCells>
Result<std::vector<T>> parse(std::string_view text, std::string_view where, FromJson from_json, FromCells from_cells) {
  MIAO_TRY(const std::vector<Line> lines, lines_of(text, where));
  const bool objects = trimmed(lines[0].text).starts_with('{');
  std::vector<T> out;
  for (const Line& line : lines) {
    if (!objects && out.empty() && &line == lines.data() && names_columns(line.text)) continue;
    T item;
    if (objects) {
      MIAO_TRY(const Json json, parse_json(line.text, line.place));
      if (!json.is_object()) return Error{Code::invalid, "is no object; every line is to hold one", line.place};
      if (auto read = from_json(json, item); !read.ok()) return std::move(read.error()).at(line.place);
    } else if (auto read = from_cells(cells_of(line.text), item); !read.ok()) {
      return std::move(read.error()).at(line.place);
    }
    out.push_back(std::move(item));
  }
  if (out.empty()) return Error{Code::invalid, "holds no items", std::string(where)};
  return out;
}

Error wrong(std::string message) { return {Code::invalid, std::move(message), {}}; }

// The text under the first of the names that is there.
Result<std::string> text_under(const Json& json, std::initializer_list<const char*> names) {
  std::string all;
  for (const char* name : names) {
    all += (all.empty() ? "\"" : " or \"") + std::string(name) + "\"";
    const auto at = json.find(name);
    if (at == json.end()) continue;
    if (!at->is_string()) return wrong("\"" + std::string(name) + "\" is no text");
    return at->get<std::string>();
  }
  return wrong("has no " + all);
}

Result<std::string> not_blank(std::string text, const char* what) {
  if (trimmed(text).empty()) return wrong("has an empty " + std::string(what));
  return text;
}

std::optional<int64_t> whole(std::string_view text) {
  int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return {};
  return value;
}

Result<int32_t> place_of(std::string_view answer, const std::vector<std::string>& choices, bool numbers) {
  for (size_t i = 0; i < choices.size(); ++i) {
    if (trimmed(choices[i]) == trimmed(answer)) return static_cast<int32_t>(i);
  }
  const auto count = static_cast<int64_t>(choices.size());
  std::optional<int64_t> at = numbers ? whole(answer) : std::nullopt;
  if (answer.size() == 1 && answer[0] >= 'A' && answer[0] <= 'Z') at = answer[0] - 'A';
  if (at && *at >= 0 && *at < count) return static_cast<int32_t>(*at);
  return wrong("the answer '" + std::string(answer) + "' is none of its " + std::to_string(count) + " choices");
}

Result<void> check_choices(const std::vector<std::string>& choices) {
  if (choices.size() < 2) return wrong("has fewer than two choices");
  if (std::ranges::any_of(choices, [](const std::string& c) { return trimmed(c).empty(); }))
    return wrong("has an empty choice");
  return {};
}

Result<void> question_of(const Json& json, Question& out) {
  if (json.contains("prompt")) {
    MIAO_TRY(out.prompt, text_under(json, {"prompt"}));
  } else {
    MIAO_TRY(const std::string question, text_under(json, {"question", "prompt"}));
    if (!trimmed(question).empty()) out.prompt = "Question: " + question + "\nAnswer:";
  }
  MIAO_TRY(out.prompt, not_blank(std::move(out.prompt), "question"));
  const auto choices = json.find("choices");
  if (choices == json.end() || !choices->is_array()) return wrong("has no list \"choices\"");
  for (const Json& choice : *choices) {
    if (!choice.is_string()) return wrong("has a choice that is no text");
    out.choices.push_back(choice.get<std::string>());
  }
  MIAO_CHECK_OK(check_choices(out.choices));
  const auto answer = json.find("answer");
  if (answer == json.end()) return wrong("has no \"answer\"");
  if (answer->is_string()) {
    MIAO_TRY(out.answer, place_of(answer->get_ref<const std::string&>(), out.choices, false));
    return {};
  }
  if (!answer->is_number_integer()) return wrong("\"answer\" is neither a number nor a text");
  const auto at = answer->get<int64_t>();
  if (at < 0 || at >= static_cast<int64_t>(out.choices.size()))
    return wrong("the answer " + std::to_string(at) + " is none of its " + std::to_string(out.choices.size()) +
                 " choices, which are counted from 0");
  out.answer = static_cast<int32_t>(at);
  return {};
}

}  // namespace

Result<std::vector<Question>> parse_questions(std::string_view text, std::string_view where) {
  return parse<Question>(text, where, question_of,
                         [](const std::vector<std::string_view>& cells, Question& out) -> Result<void> {
                           if (cells.size() < 4) return wrong("has no prompt, answer and two choices between tabs");
                           MIAO_TRY(out.prompt, not_blank(std::string(cells[0]), "prompt"));
                           out.choices.assign(cells.begin() + 2, cells.end());
                           MIAO_CHECK_OK(check_choices(out.choices));
                           MIAO_TRY(out.answer, place_of(cells[1], out.choices, true));
                           return {};
                         });
}

Result<std::vector<LabelledText>> parse_labelled(std::string_view text, std::string_view where) {
  return parse<LabelledText>(
      text, where,
      [](const Json& json, LabelledText& out) -> Result<void> {
        MIAO_TRY(out.text, text_under(json, {"text", "sentence"}));
        MIAO_TRY(out.text, not_blank(std::move(out.text), "text"));
        const auto label = json.find("label");
        if (label == json.end()) return wrong("has no \"label\"");
        if (label->is_number_integer()) {
          out.label = std::to_string(label->get<int64_t>());
          return {};
        }
        MIAO_TRY(out.label, text_under(json, {"label"}));
        return {};
      },
      [](const std::vector<std::string_view>& cells, LabelledText& out) -> Result<void> {
        if (cells.size() != 2) return wrong("has not a text and a label with one tab between");
        MIAO_TRY(out.text, not_blank(std::string(cells[0]), "text"));
        out.label = cells[1];
        return {};
      });
}

Result<std::vector<ScoredPair>> parse_pairs(std::string_view text, std::string_view where) {
  return parse<ScoredPair>(
      text, where,
      [](const Json& json, ScoredPair& out) -> Result<void> {
        MIAO_TRY(out.first, text_under(json, {"text1", "sentence1"}));
        MIAO_TRY(out.second, text_under(json, {"text2", "sentence2"}));
        const auto score = json.find("score");
        if (score == json.end() || !score->is_number()) return wrong("has no number \"score\"");
        out.score = score->get<double>();
        return {};
      },
      [](const std::vector<std::string_view>& cells, ScoredPair& out) -> Result<void> {
        if (cells.size() != 3) return wrong("has not two texts and a score between tabs");
        out.first = cells[0];
        out.second = cells[1];
        const auto read = std::from_chars(cells[2].data(), cells[2].data() + cells[2].size(), out.score);
        if (read.ec != std::errc() || read.ptr != cells[2].data() + cells[2].size() || !std::isfinite(out.score))
          return wrong("its score '" + std::string(cells[2]) + "' is no number");
        return {};
      });
}

Result<std::vector<Recording>> parse_recordings(std::string_view text, std::string_view where) {
  MIAO_TRY(auto out, parse<Recording>(
                         text, where,
                         [](const Json& json, Recording& r) -> Result<void> {
                           MIAO_TRY(r.audio, text_under(json, {"audio", "path"}));
                           MIAO_TRY(r.text, text_under(json, {"text", "sentence"}));
                           return {};
                         },
                         [](const std::vector<std::string_view>& cells, Recording& r) -> Result<void> {
                           if (cells.size() != 2) return wrong("has not a path and a text with one tab between");
                           r.audio = cells[0];
                           r.text = cells[1];
                           return {};
                         }));
  const auto folder = std::filesystem::path(std::string(where)).parent_path();
  for (Recording& r : out) {
    if (std::filesystem::path(r.audio).is_relative()) r.audio = (folder / r.audio).string();
  }
  return out;
}

Result<std::vector<std::string>> parse_texts(std::string_view text, std::string_view where) {
  MIAO_TRY(const std::vector<Line> lines, lines_of(text, where));
  std::vector<std::string> out;
  for (const Line& line : lines) out.emplace_back(line.text);
  return out;
}

}  // namespace miao::measure

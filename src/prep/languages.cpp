// Languages of a translation model; see languages.h.
#include "prep/languages.h"

#include <algorithm>
#include <numeric>

#include "prep/tok/data.h"

namespace miao::prep {
namespace {

using Place = LanguageTable::Place;

// Insertions, deletions and changes of a letter; codes are short.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t corner = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t change = corner + (a[i] != b[j]);
      corner = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, corner + 1});
    }
  }
  return row.back();
}

std::string_view bare(std::string_view code) {
  const auto inside = [&](std::string_view before, std::string_view after) {
    return code.size() > before.size() + after.size() && code.starts_with(before) && code.ends_with(after);
  };
  return inside("__", "__") || inside(">>", "<<") ? code.substr(2, code.size() - 4) : code;
}

}  // namespace

std::vector<std::string_view> Languages::codes() const {
  std::vector<std::string_view> out;
  for (const LanguageTable::Language& l : tokenizer_.data_->languages.languages) out.push_back(l.code);
  return out;
}

Result<int32_t> Languages::id(std::string_view code) const {
  const LanguageTable& table = tokenizer_.data_->languages;
  if (table.languages.empty()) {
    return Error{Code::unsupported, "this model has no choice of languages; leave the language out", {}};
  }
  for (const LanguageTable::Language& l : table.languages) {
    if (l.code == bare(code)) return l.id;
  }
  return unknown(code);
}

std::optional<std::string_view> Languages::code(int32_t id) const {
  for (const LanguageTable::Language& l : tokenizer_.data_->languages.languages) {
    if (l.id == id) return l.code;
  }
  return std::nullopt;
}

Error Languages::unknown(std::string_view code) const {
  constexpr size_t kNamed = 5;
  code = code.substr(0, 40);
  // Codes of the same language in another spelling begin alike: "fr", "fra_Latn".
  std::vector<std::pair<size_t, std::string_view>> near;
  for (const std::string_view known : codes()) {
    const bool alike = code.size() >= 2 && known.substr(0, 2) == code.substr(0, 2);
    near.emplace_back(distance(code, known) + (alike ? 0 : 100), known);
  }
  std::ranges::stable_sort(near, {}, &std::pair<size_t, std::string_view>::first);
  std::string list;
  for (size_t i = 0; i < std::min(kNamed, near.size()); ++i) list += (i ? ", " : "") + std::string(near[i].second);
  const bool all = near.size() <= kNamed;
  return {Code::not_found,
          "this model does not know the language \"" + std::string(code) + "\"; " +
              (all ? "it knows " : "of its " + std::to_string(near.size()) + " languages these are like it: ") + list,
          {}};
}

// Of a model that has no language tokens: what is asked for must be what it does.
Result<void> Languages::check_pair(std::string_view source, std::string_view target) const {
  const LanguageTable& table = tokenizer_.data_->languages;
  if ((source.empty() || source == table.source) && (target.empty() || target == table.target)) return {};
  if (table.source.empty() || table.target.empty()) {
    return Error{Code::unsupported, "this model has no choice of languages; leave the languages out", {}};
  }
  return Error{Code::unsupported, "this model translates from " + table.source + " to " + table.target + " alone", {}};
}

Result<Languages::Input> Languages::encode(std::string_view text, std::string_view source, std::string_view target,
                                           bool parse_special) const {
  const LanguageTable& table = tokenizer_.data_->languages;
  Input out;
  if (table.place == Place::none) {
    MIAO_CHECK_OK(check_pair(source, target));
    MIAO_TRY(out.ids, tokenizer_.encode(text, {.parse_special = parse_special}));
    out.front = tokenizer_.prefix().size();
    out.back = tokenizer_.suffix().size();
    return out;
  }
  std::optional<int32_t> from, to;
  if (source.empty() && table.place != Place::target_first) source = table.source;
  if (!source.empty() && table.place != Place::target_first) {
    MIAO_TRY(from, id(source));
  }
  if (!target.empty()) {
    MIAO_TRY(to, id(target));
  }
  MIAO_TRY(const std::vector<int32_t> tokens,
           tokenizer_.encode(text, {.add_special = false, .parse_special = parse_special}));
  const auto add = [&](std::optional<int32_t> id) {
    if (id) out.ids.push_back(*id);
  };
  if (table.place == Place::source_first) add(from);
  if (table.place == Place::target_first) add(to);
  out.front = out.ids.size();
  out.ids.insert(out.ids.end(), tokens.begin(), tokens.end());
  add(tokenizer_.eos_id());
  if (table.place == Place::source_last) add(from);
  out.back = out.ids.size() - out.front - tokens.size();
  if (table.place != Place::target_first) out.first = to;
  return out;
}

}  // namespace miao::prep

#include "compress/recipe.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace miao::compress {

namespace {

enum class Role : uint8_t { none, embedding, output, attn_v, attn_k, attn_o, ffn_down, expert };

// Where a rule holds. more_bits: the first and the last eighth of the layers, and every third between.
enum class Where : uint8_t {
  everywhere,
  first_two,
  first_four,
  first_16th,
  first_8th,
  more_bits,
  grouped,  // four query heads or more share a key head
  eight_experts,
  with_importance,    // in the first eighth
  without_importance  // in the first eighth
};

}  // namespace

struct Recipe::Rule {
  Role role;
  Where where;
  DType dtype;
};

namespace {

using Rule = Recipe::Rule;
using enum Role;
using enum Where;

// The first rule that fits counts. With eight experts k and v are small beside them; that holds for every mix.
constexpr Rule kQ2K[] = {{attn_v, grouped, DType::q4_k},
                         {attn_v, everywhere, DType::q3_k},
                         {ffn_down, everywhere, DType::q3_k},
                         {attn_o, eight_experts, DType::q5_k},
                         {attn_o, everywhere, DType::q3_k}};
constexpr Rule kQ2KS[] = {{attn_v, grouped, DType::q4_k}, {ffn_down, first_8th, DType::q4_k}};
constexpr Rule kQ3KS[] = {{attn_o, eight_experts, DType::q5_k}};
constexpr Rule kQ3KM[] = {{attn_v, first_two, DType::q5_k},     {attn_v, everywhere, DType::q4_k},
                          {ffn_down, first_16th, DType::q5_k},  {ffn_down, everywhere, DType::q4_k},
                          {attn_o, eight_experts, DType::q5_k}, {attn_o, everywhere, DType::q4_k}};
constexpr Rule kQ3KL[] = {
    {attn_v, everywhere, DType::q5_k}, {ffn_down, everywhere, DType::q5_k}, {attn_o, everywhere, DType::q5_k}};
constexpr Rule kQ4KS[] = {
    {attn_v, first_four, DType::q5_k}, {ffn_down, first_8th, DType::q5_k}, {attn_o, eight_experts, DType::q5_k}};
constexpr Rule kQ4KM[] = {
    {attn_v, more_bits, DType::q6_k}, {ffn_down, more_bits, DType::q6_k}, {attn_o, eight_experts, DType::q5_k}};
constexpr Rule kQ5KM[] = {{attn_v, more_bits, DType::q6_k}, {ffn_down, more_bits, DType::q6_k}};
constexpr Rule kIQ4[] = {
    {attn_v, grouped, DType::q5_k}, {ffn_down, without_importance, DType::q5_k}, {attn_o, eight_experts, DType::q5_k}};
constexpr Rule kQ40[] = {{ffn_down, with_importance, DType::q4_1}};
constexpr Rule kQ50[] = {{ffn_down, with_importance, DType::q5_1}};
constexpr Rule kMxfp4Moe[] = {{expert, everywhere, DType::mxfp4}};

struct Row {
  std::string_view name;
  DType base;
  uint32_t file_type;  // llama_ftype of llama.h
  std::span<const Rule> rules;
};
const Row kRows[] = {
    {"F32", DType::f32, 0, {}},          {"F16", DType::f16, 1, {}},
    {"BF16", DType::bf16, 32, {}},       {"Q8_0", DType::q8_0, 7, {}},
    {"Q6_K", DType::q6_k, 18, {}},       {"Q5_K_M", DType::q5_k, 17, kQ5KM},
    {"Q5_K_S", DType::q5_k, 16, {}},     {"Q5_1", DType::q5_1, 9, {}},
    {"Q5_0", DType::q5_0, 8, kQ50},      {"Q4_K_M", DType::q4_k, 15, kQ4KM},
    {"Q4_K_S", DType::q4_k, 14, kQ4KS},  {"Q4_1", DType::q4_1, 3, {}},
    {"Q4_0", DType::q4_0, 2, kQ40},      {"IQ4_NL", DType::iq4_nl, 25, kIQ4},
    {"IQ4_XS", DType::iq4_xs, 30, kIQ4}, {"MXFP4_MOE", DType::q8_0, 38, kMxfp4Moe},
    {"Q3_K_L", DType::q3_k, 13, kQ3KL},  {"Q3_K_M", DType::q3_k, 12, kQ3KM},
    {"Q3_K_S", DType::q3_k, 11, kQ3KS},  {"Q2_K", DType::q2_k, 10, kQ2K},
    {"Q2_K_S", DType::q2_k, 21, kQ2KS},
};
constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {
    {"FP32", "F32"}, {"FP16", "F16"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}, {"Q3_K", "Q3_K_M"}};

bool same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x >= 'a' && x <= 'z' ? x - 32 : x) == y; });
}

// "blk.7.ffn_down.weight" -> 7 and "ffn_down"; -1 where there is no block.
struct Name {
  int64_t layer = -1;
  std::string_view stem;
};
Name parse(std::string_view name) {
  Name out;
  if (const size_t at = name.find("blk."); at != std::string_view::npos) {
    const char* const begin = name.data() + at + 4;
    const auto [end, error] = std::from_chars(begin, name.data() + name.size(), out.layer);
    if (error != std::errc()) out.layer = -1;
    name.remove_prefix(static_cast<size_t>(end - name.data()) + (end < name.data() + name.size() ? 1 : 0));
  }
  out.stem = name.substr(0, name.find('.'));
  return out;
}

Role role_of(std::string_view stem, const Anatomy& anatomy) {
  if (stem == "output") return output;
  if (stem == "token_embd") return anatomy.tied ? output : embedding;
  if (stem == "attn_v" || stem == "attn_qkv") return attn_v;
  if (stem == "attn_k") return attn_k;
  if (stem == "attn_output") return attn_o;
  if (stem == "ffn_down" || stem == "ffn_down_exps") return ffn_down;
  return none;
}

bool holds(Where where, int64_t layer, const Anatomy& a, const RecipeOptions& options) {
  const int64_t n = a.layers;
  switch (where) {
    case everywhere:
      return true;
    case first_two:
      return layer < 2;
    case first_four:
      return layer < 4;
    case first_16th:
      return layer < n / 16;
    case first_8th:
      return layer < n / 8;
    case more_bits:
      return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
    case grouped:
      return a.heads_per_kv >= 4;
    case eight_experts:
      return a.experts == 8;
    case with_importance:
      return options.importance && layer < n / 8;
    case without_importance:
      return !options.importance && layer < n / 8;
  }
  return false;
}

bool fits(const Override& o, const std::string& name) {
  if (o.whole) return name == o.pattern;
  if (o.pattern.find_first_of("*?[") == std::string::npos) return name.find(o.pattern) != std::string::npos;
  return fnmatch(o.pattern.c_str(), name.c_str(), 0) == 0;
}

}  // namespace

Result<Override> parse_override(std::string_view text) {
  const size_t at = text.rfind('=');
  if (at == std::string_view::npos || at == 0) {
    return Error{Code::invalid, "is not NAME=TYPE, such as ffn_down=Q6_K", std::string(text)};
  }
  const auto dtype = dtype_from_name(text.substr(at + 1));
  if (!dtype || format(*dtype).gguf < 0 || !format(*dtype).decode) {
    return Error{Code::invalid, "'" + std::string(text.substr(at + 1)) + "' is no type of weights", std::string(text)};
  }
  return Override{std::string(text.substr(0, at)), *dtype};
}

Result<std::vector<Override>> parse_overrides(std::string_view file) {
  std::vector<Override> out;
  for (int64_t number = 1; !file.empty(); ++number) {
    const size_t end = std::min(file.find('\n'), file.size());
    std::string_view line = file.substr(0, end);
    file.remove_prefix(std::min(end + 1, file.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    auto one = parse_override(line);
    if (!one.ok()) return std::move(one.error()).at("line " + std::to_string(number));
    one->whole = true;
    out.push_back(std::move(*one));
  }
  return out;
}

Recipe recipe_of(DType dtype) {
  const Row* found = &kRows[1];  // F16
  for (const Row& row : kRows) {
    if (row.base == dtype && (found->base != dtype || (row.rules.empty() && !found->rules.empty()))) found = &row;
  }
  return *Recipe::named(found->name);
}

DType fitting(DType wished, int64_t cols) {
  if (cols % format(wished).block == 0) return wished;
  DType next = DType::f16;
  switch (wished) {
    case DType::iq4_xs:
      next = DType::iq4_nl;
      break;
    case DType::q2_k:
    case DType::q3_k:
      next = DType::q4_0;
      break;
    case DType::q4_k:
      next = DType::q5_0;
      break;
    case DType::q5_k:
      next = DType::q5_1;
      break;
    case DType::q6_k:
      next = DType::q8_0;
      break;
    default:
      break;
  }
  return cols % format(next).block == 0 ? next : DType::f16;
}

std::vector<std::string_view> Recipe::names() {
  std::vector<std::string_view> out;
  for (const Row& row : kRows) out.push_back(row.name);
  return out;
}

Result<Recipe> Recipe::named(std::string_view name) {
  for (const auto& [other, own] : kOtherNames) {
    if (same(name, other)) name = own;
  }
  for (const Row& row : kRows) {
    if (same(name, row.name)) return Recipe(row.name, row.base, row.file_type, row.rules);
  }
  std::string known;
  for (const Row& row : kRows) known += ' ' + std::string(row.name);
  return Error{Code::unsupported, "'" + std::string(name) + "' is no mix of types; there are" + known, {}};
}

DType Recipe::wish(const Subject& subject, const Anatomy& a, const RecipeOptions& options) const {
  if (options.pure || format(base_).block == 1) return base_;
  const Name name = parse(subject.name);
  const Role role = role_of(name.stem, a);
  const int64_t cols = subject.shape.back();
  if (role == output) {
    if (cols % format(base_).block != 0 || base_ == DType::q8_0) return DType::q8_0;
    return DType::q6_k;
  }
  if (a.experts == 8 && rules_.data() != kMxfp4Moe && (role == attn_v || role == attn_k)) return DType::q8_0;
  for (const Rule& rule : rules_) {
    const bool named = rule.role == role || (rule.role == expert && subject.shape.size() > 2);
    if (!named || !holds(rule.where, name.layer, a, options)) continue;
    const bool small = rule.dtype == DType::q3_k || rule.dtype == DType::q4_k;
    return role == attn_v && small && a.layers == 80 && a.heads_per_kv == 8 ? DType::q5_k : rule.dtype;
  }
  return base_;
}

std::vector<Choice> Recipe::choose(std::span<const Subject> subjects, const Anatomy& anatomy,
                                   const RecipeOptions& options) const {
  std::vector<Choice> out;
  for (const Subject& subject : subjects) {
    if (subject.keep) {
      out.push_back({subject.dtype, subject.dtype});
      continue;
    }
    const auto own = std::ranges::find_if(options.overrides, [&](const Override& o) { return fits(o, subject.name); });
    const DType wished = own != options.overrides.end() ? own->dtype : wish(subject, anatomy, options);
    out.push_back({fitting(wished, subject.shape.back()), wished});
  }
  return out;
}

}  // namespace miao::compress

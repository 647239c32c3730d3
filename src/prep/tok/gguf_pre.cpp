#include "prep/tok/gguf_pre.h"

#include <algorithm>

#include "prep/tok/loaders.h"
#include "prep/tok/unicode.h"

namespace miao::prep {

namespace {

constexpr std::string_view kLlama3 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kQwen2 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kQwen35 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kMiniCpm5 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}+| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kSeed =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kGpt4o =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|"
    "'d)?|"
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|"
    "'d)?|"
    "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kTekken =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|"
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|"
    "\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kDeepSeek3 =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
    " ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kBloom = " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+";
constexpr std::string_view kHanKana = "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+";
constexpr std::string_view kDeepSeekCjk = "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+";

constexpr std::string_view kGpt2 = "<gpt2>", kDigits = "<digits>", kPunctuation = "<punctuation>",
                           kByteDigits = "<byte-digits>";

const std::vector<GgufPre>& pre_tokenizers() {
  static const std::vector<GgufPre> table = {
      {"gpt-2 phi-2 mpt olmo jais trillion granite-docling jina-es jina-de jina-v2-es jina-v2-de gigachat a.x-4.0 "
       "mellum"
       " modern-bert exaone4",
       {kGpt2}},
      {"jina-v1-en jina-v2-code roberta-bpe", {kGpt2}, false, false, true},
      {"smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", {kDigits, kGpt2}},
      {"llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", {kLlama3}, true, true},
      {"dbrx smaug-bpe chatglm-bpe", {kLlama3}},
      {"glm4 glm5", {kLlama3}, true},
      {"qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2", {kQwen2}},
      {"qwen35", {kQwen35}},
      {"minicpm5", {"\\p{N}{1,3}", kMiniCpm5}, true},
      {"seed-coder", {kSeed}},
      {"gpt-4o llama4 kanana2 talkie minimax-m2", {kGpt4o}},
      {"tekken", {kTekken}, true, true},
      {"deepseek-coder", {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", kDeepSeekCjk, kDigits}},
      {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", {"\\p{N}{1,3}", kHanKana, kDeepSeek3}},
      {"falcon", {kPunctuation, kGpt2, kByteDigits, "[0-9][0-9][0-9]"}},
      {"bloom poro-chat gpt3-finnish", {kBloom}},
      {"viking", {kBloom, "\\p{N}"}},
  };
  return table;
}

}  // namespace

const GgufPre* find_pre(std::string_view name) {
  for (const GgufPre& pre : pre_tokenizers()) {
    for (size_t at = 0; at < pre.names.size();) {
      const size_t end = std::min(pre.names.find(' ', at), pre.names.size());
      if (pre.names.substr(at, end - at) == name) return &pre;
      at = end + 1;
    }
  }
  return nullptr;
}

std::vector<PreStep> steps_of(const GgufPre& pre) {
  std::vector<PreStep> out;
  for (const std::string_view step : pre.steps) {
    if (step == kDigits) {
      out.push_back({.kind = PreStep::Kind::characters, .flags = kNumeric});
    } else if (step == kPunctuation) {
      out.push_back({.kind = PreStep::Kind::characters, .flags = kBertPunct, .behavior = Behavior::contiguous});
    } else if (step == kByteDigits) {
      out.push_back({.kind = PreStep::Kind::byte_digits, .flags = kNumeric, .behavior = Behavior::contiguous});
    } else {
      out.push_back(split_step(step == kGpt2 ? gpt2_scanner() : find_scanner(step)));
    }
  }
  return out;
}

std::string_view name_of(const std::vector<PreStep>& steps, bool ignore_merges) {
  for (const GgufPre& pre : pre_tokenizers()) {
    if (pre.ignore_merges == ignore_merges && steps_of(pre) == steps) return pre.names.substr(0, pre.names.find(' '));
  }
  return {};
}

}  // namespace miao::prep

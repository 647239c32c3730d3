// Tokenizers of Hugging Face directories: tokenizer.json, or the SentencePiece models of older ones (spm_layouts.h).
// The class is what tokenizer_config.json says, or what the files can only be.
#include "prep/tok/hf_config.h"
#include "prep/tok/loaders.h"
#include "prep/tok/spm_layouts.h"
#include "prep/tokenizer.h"

namespace miao::prep {
namespace {

class Directory {
 public:
  explicit Directory(const ReadFile& read) : read_(read) {}

  Result<TokenizerPtr> load() {
    MIAO_TRY(const std::optional<std::string> json, read_("tokenizer.json"));
    MIAO_TRY(const std::optional<std::string> config_text, read_("tokenizer_config.json"));
    if (json) {
      auto data = load_json(*json, config_text.value_or(""));
      if (!data.ok()) return std::move(data.error()).at("tokenizer.json");
      MIAO_CHECK_OK(find_languages(**data, read_));
      return TokenizerPtr(std::move(*data));
    }
    MIAO_TRY(const HfConfig config, read_hf_config(read_));
    return load_files(config);
  }

 private:
  Result<std::string> need(const char* name) {
    MIAO_TRY(std::optional<std::string> text, read_(name));
    if (!text) return Error{Code::not_found, "this tokenizer needs the file; fetch the model again", name};
    return std::move(*text);
  }

  // Reads a SentencePiece model and gives it to use(file).
  template <class Use>
  Result<TokenizerPtr> with_model(const char* name, const Use& use) {
    MIAO_TRY(const std::string bytes, need(name));
    auto file = parse_spm(bytes);
    if (!file.ok()) return std::move(file.error()).at(name);
    auto data = use(*file);
    if (!data.ok()) return std::move(data.error()).at(name);
    return data;
  }

  Result<bool> has(const char* name) {
    MIAO_TRY(const std::optional<std::string> text, read_(name));
    return text.has_value();
  }

  Result<TokenizerPtr> load_files(HfConfig config) {
    std::string& name = config.tokenizer_class;
    MIAO_TRY(const bool vocab, has("vocab.json"));
    if (name.empty()) MIAO_CHECK_OK(guess(name, vocab));
    if (name == "M2M100Tokenizer" && !vocab) name = "NllbTokenizer";  // they share their model_type
    if (name == "T5Tokenizer" || name == "MT5Tokenizer")
      return with_model("spiece.model", [&](const SpmFile& file) { return spm_t5(file, config); });
    if (name == "LlamaTokenizer" || name == "CodeLlamaTokenizer" || name == "GemmaTokenizer")
      return with_model("tokenizer.model", [&](const SpmFile& file) { return spm_llama(file, config); });
    if (name == "XLMRobertaTokenizer" || name == "MBartTokenizer" || name == "MBart50Tokenizer" ||
        name == "NllbTokenizer")
      return with_model("sentencepiece.bpe.model", [&](const SpmFile& file) { return spm_fairseq(file, config); });
    if (name == "M2M100Tokenizer") {
      MIAO_TRY(const std::string ids, need("vocab.json"));
      return with_model("sentencepiece.bpe.model", [&](const SpmFile& file) { return spm_m2m(file, ids, config); });
    }
    if (name == "MarianTokenizer") return load_marian(config);
    return Error{Code::unsupported,
                 "the tokenizer \"" + name.substr(0, 60) +
                     "\" has no tokenizer.json and is not known to this version (T5, Llama, Gemma, XLM-RoBERTa, mBART, "
                     "mBART-50, NLLB, M2M-100 and Marian are); AutoTokenizer.from_pretrained(...).save_pretrained(...) "
                     "of transformers writes one",
                 {}};
  }

  // What the files can only be.
  Result<void> guess(std::string& name, bool vocab) {
    constexpr const char* kFiles[][2] = {
        {"source.spm", "MarianTokenizer"}, {"spiece.model", "T5Tokenizer"}, {"tokenizer.model", "LlamaTokenizer"}};
    for (const auto& [file, tokenizer] : kFiles) {
      MIAO_TRY(const bool there, has(file));
      if (there && name.empty()) name = tokenizer;
    }
    MIAO_TRY(const bool fairseq, has("sentencepiece.bpe.model"));
    if (name.empty() && fairseq && vocab) name = "M2M100Tokenizer";
    if (!name.empty()) return {};
    return Error{Code::not_found,
                 fairseq
                     ? "the files do not say which tokenizer this is; tokenizer_config.json needs a tokenizer_class"
                     : "this model has no tokenizer.json and no SentencePiece model; give token ids instead of text",
                 {}};
  }

  Result<TokenizerPtr> load_marian(const HfConfig& config) {
    MIAO_TRY(const std::string vocab, need("vocab.json"));
    const bool separate = config.separate_vocabs.value_or(false);
    const char* target_name = separate ? "target_vocab.json" : "vocab.json";
    std::string target_vocab;
    if (separate) {
      MIAO_TRY(target_vocab, need(target_name));
    }
    MIAO_TRY(TokenizerPtr target, with_model("target.spm", [&](const SpmFile& file) {
               return spm_marian_side(file, separate ? target_vocab : vocab, target_name, config, nullptr);
             }));
    return with_model("source.spm",
                      [&](const SpmFile& file) { return spm_marian_side(file, vocab, "vocab.json", config, target); });
  }

  const ReadFile& read_;
};

}  // namespace

Result<Tokenizer> Tokenizer::from_files(const ReadFile& read, std::string_view where) {
  auto data = Directory(read).load();
  if (!data.ok()) return std::move(data.error()).at(where);
  return Tokenizer(std::move(*data));
}

Result<Tokenizer> Tokenizer::from_sentencepiece(std::string_view bytes, std::string_view where) {
  auto file = parse_spm(bytes);
  if (!file.ok()) return std::move(file.error()).at(where);
  auto data = spm_plain(*file);
  if (!data.ok()) return std::move(data.error()).at(where);
  return Tokenizer(std::move(*data));
}

}  // namespace miao::prep

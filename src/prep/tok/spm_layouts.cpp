// Tokenizers from SentencePiece models, one for each way in which transformers numbers the pieces; see spm_layouts.h.
#include "prep/tok/spm_layouts.h"

#include <algorithm>

#include "prep/tok/language_lists.h"
#include "prep/tok/spm_builder.h"
#include "prep/tok/unicode.h"

namespace miao::prep {

namespace {

using Place = LanguageTable::Place;

std::vector<std::string_view> words_of(std::string_view list) {
  std::vector<std::string_view> out;
  while (!list.empty()) {
    const size_t end = std::min(list.find(' '), list.size());
    out.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

// Codes as tokens behind the vocabulary, in this order: spell(code) is the token.
template <class Spell>
Result<void> add_languages(SpmBuilder& b, std::string_view list, const Spell& spell) {
  for (const std::string_view code : words_of(list)) {
    MIAO_TRY(const int32_t id, b.control(spell(code)));
    b.data().languages.languages.push_back({std::string(code), id});
  }
  return {};
}

// Where the languages stand, and the one that a text is in unless another is named.
void place_languages(TokenizerData& d, Place place, const HfConfig& config, std::string_view fallback) {
  d.languages.place = place;
  d.languages.source = config.source_language.empty() ? std::string(fallback) : config.source_language;
  d.languages.target = config.target_language;
}

// What add_special puts around a text of that language.
void frame_languages(TokenizerData& d) {
  const LanguageTable& table = d.languages;
  const auto source = std::ranges::find(table.languages, table.source, &LanguageTable::Language::code);
  d.frame.suffix = {*d.eos};
  if (source == table.languages.end()) return;
  if (table.place == Place::source_first) d.frame.prefix = {source->id};
  if (table.place == Place::source_last) d.frame.suffix.push_back(source->id);
}

Place nllb_place(const HfConfig& config) {
  return config.legacy_behaviour.value_or(false) ? Place::source_last : Place::source_first;
}

// Pieces from a SentencePiece file, ids from vocab.json; what is not there is unknown.
Result<void> use_vocab(SpmBuilder& b, const SpmFile& file, std::string_view json, const char* name) {
  if (auto r = b.add_vocab(json); !r.ok()) return std::move(r.error()).at(name);
  MIAO_CHECK_OK(b.close());
  const std::string unk = b.config().role("unk_token", "<unk>");
  const int32_t unknown = b.find(unk);
  if (unknown < 0) return Error{Code::corrupt, "the token \"" + unk + "\" is not in the vocabulary", name};
  SpmIds ids{.surfaces = &b.data().vocab};
  for (const SpmFile::Piece& piece : file.pieces) {
    const int32_t id = piece.type == SpmFile::Type::unknown ? unknown : b.find(piece.text);
    ids.of.push_back(id < 0 ? unknown : id);
  }
  return b.use(file, std::move(ids), true);
}

}  // namespace

Result<TokenizerPtr> spm_plain(const SpmFile& file) {
  const HfConfig none;
  SpmBuilder b(none);
  b.add_pieces(file);
  MIAO_CHECK_OK(b.close());
  MIAO_CHECK_OK(b.use(file, {}, false));
  TokenizerData& d = b.data();
  for (int32_t id = 0; id < file.size(); ++id) {
    if (file.is_control(id)) MIAO_CHECK_OK(b.control(file.pieces[static_cast<size_t>(id)].text));
  }
  d.unk = file.unk;
  MIAO_CHECK_OK(b.control(file.pieces[static_cast<size_t>(file.unk)].text));
  if (file.is_control(file.bos)) d.bos = file.bos;
  if (file.is_control(file.eos)) d.eos = file.eos;
  if (file.is_control(file.pad)) d.pad = file.pad;
  return b.finish();
}

Result<TokenizerPtr> spm_t5(const SpmFile& file, const HfConfig& config) {
  SpmBuilder b(config);
  b.add_pieces(file);
  MIAO_CHECK_OK(b.close());
  MIAO_CHECK_OK(b.use(file, {}, true));
  TokenizerData& d = b.data();
  MIAO_CHECK_OK(b.configured());
  for (int64_t i = config.extra_ids - 1; i >= 0; --i) {
    AddedToken token{
        .content = "<extra_id_" + std::to_string(i) + ">", .lstrip = true, .rstrip = true, .special = true};
    MIAO_CHECK_OK(b.cut_out(std::move(token)));
  }
  MIAO_TRY(d.eos, b.role("eos_token", "</s>"));
  MIAO_TRY(d.unk, b.role("unk_token", "<unk>"));
  MIAO_TRY(d.pad, b.role("pad_token", "<pad>"));
  MIAO_CHECK_OK(b.additional());
  constexpr int32_t kFirst = Frame::Part::kFirst, kSecond = Frame::Part::kSecond;
  d.frame.suffix = {*d.eos};
  d.frame.pair = {{kFirst, 0}, {*d.eos, 0}, {kSecond, 0}, {*d.eos, 0}};
  return b.finish();
}

Result<TokenizerPtr> spm_llama(SpmFile file, const HfConfig& config) {
  SpmBuilder b(config);
  b.add_pieces(file);
  MIAO_CHECK_OK(b.close());
  const bool gemma = config.tokenizer_class == "GemmaTokenizer";
  if (config.add_prefix_space) file.add_dummy_prefix = *config.add_prefix_space;
  // Without "legacy", U+2581 stands before the first stretch of a text alone.
  const bool first_only = !config.legacy.value_or(true) && file.add_dummy_prefix && !file.remove_extra_whitespaces;
  SpmFile encoded = file;
  if (first_only) encoded.add_dummy_prefix = encoded.escape_whitespaces = false;
  MIAO_CHECK_OK(b.use(file, {}, false));
  TokenizerData& d = b.data();
  if (first_only) {
    MIAO_TRY(auto normalizer, spm_normalizer(encoded));
    d.normalizer.steps = {{.kind = NormalizerStep::Kind::sentencepiece, .spm = std::move(normalizer)}};
    d.pre_tokenizer.steps = {{.kind = PreStep::Kind::metaspace,
                              .pattern = std::string(kMetaSpace),
                              .cut = false,
                              .prepend = Prepend::first}};
  }
  MIAO_CHECK_OK(b.configured());
  MIAO_TRY(d.bos, b.role("bos_token", gemma ? "<bos>" : "<s>"));
  MIAO_TRY(d.eos, b.role("eos_token", gemma ? "<eos>" : "</s>"));
  MIAO_TRY(d.unk, b.role("unk_token", "<unk>"));
  MIAO_TRY(d.pad, b.role("pad_token", gemma ? "<pad>" : ""));
  MIAO_CHECK_OK(b.additional());
  if (config.add_bos.value_or(true)) d.frame.prefix = {*d.bos};
  if (config.add_eos.value_or(false)) d.frame.suffix = {*d.eos};
  return b.finish();
}

// sentencepiece.bpe.model with the ids of fairseq: <s> <pad> </s> <unk>, then the file's pieces from the fourth on.
Result<TokenizerPtr> spm_fairseq(const SpmFile& file, const HfConfig& config) {
  constexpr int32_t kBos = 0, kEos = 2, kUnk = 3;
  if (file.unk != 0 || file.size() < 3) {
    return Error{Code::unsupported, "the unknown piece must be the first of sentencepiece.bpe.model"};
  }
  const std::string& name = config.tokenizer_class;
  SpmBuilder b(config);
  const std::string bos = config.role("bos_token", "<s>"), eos = config.role("eos_token", "</s>"),
                    unk = config.role("unk_token", "<unk>"), pad = config.role("pad_token", "<pad>");
  for (const std::string& text : {bos, pad, eos, unk}) b.add_piece(text);
  SpmIds ids{.of = {kUnk, kBos, kEos}};
  for (int32_t id = 3; id < file.size(); ++id) {
    ids.of.push_back(b.size());
    b.add_piece(file.pieces[static_cast<size_t>(id)].text);
  }
  MIAO_CHECK_OK(b.close());
  MIAO_CHECK_OK(b.use(file, std::move(ids), true));
  TokenizerData& d = b.data();
  MIAO_CHECK_OK(b.configured());
  MIAO_TRY(d.bos, b.role("bos_token", "<s>"));
  MIAO_TRY(d.pad, b.role("pad_token", "<pad>"));
  MIAO_TRY(d.eos, b.role("eos_token", "</s>"));
  MIAO_TRY(d.unk, b.role("unk_token", "<unk>"));
  const auto plain = [](std::string_view code) { return std::string(code); };
  if (name == "NllbTokenizer") {
    MIAO_CHECK_OK(add_languages(b, kNllbLanguages, plain));
  } else if (name != "XLMRobertaTokenizer") {
    MIAO_CHECK_OK(add_languages(b, kMbartLanguages, plain));
    if (name == "MBart50Tokenizer") MIAO_CHECK_OK(add_languages(b, kMbart50Languages, plain));
  }
  MIAO_CHECK_OK(b.cut_out({.content = config.role("mask_token", "<mask>"), .lstrip = true, .special = true}));
  MIAO_CHECK_OK(b.additional());
  if (name == "XLMRobertaTokenizer") {
    constexpr int32_t kFirst = Frame::Part::kFirst, kSecond = Frame::Part::kSecond;
    d.frame.prefix = {kBos};
    d.frame.suffix = {kEos};
    d.frame.pair = {{kBos, 0}, {kFirst, 0}, {kEos, 0}, {kEos, 0}, {kSecond, 0}, {kEos, 0}};
  } else if (name == "MBartTokenizer") {
    place_languages(d, Place::source_last, config, "en_XX");
  } else if (name == "MBart50Tokenizer") {
    place_languages(d, Place::source_first, config, "en_XX");
  } else {
    place_languages(d, nllb_place(config), config, "eng_Latn");
  }
  if (d.languages.place != Place::none) frame_languages(d);
  return b.finish();
}

Result<TokenizerPtr> spm_m2m(const SpmFile& file, std::string_view vocab, const HfConfig& config) {
  SpmBuilder b(config);
  MIAO_CHECK_OK(use_vocab(b, file, vocab, "vocab.json"));
  TokenizerData& d = b.data();
  MIAO_CHECK_OK(b.configured());
  const auto token = [](std::string_view code) { return "__" + std::string(code) + "__"; };
  MIAO_CHECK_OK(add_languages(b, config.language_codes == "wmt21" ? kWmt21Languages : kM2m100Languages, token));
  MIAO_TRY(d.bos, b.role("bos_token", "<s>"));
  MIAO_TRY(d.eos, b.role("eos_token", "</s>"));
  MIAO_TRY(d.pad, b.role("pad_token", "<pad>"));
  MIAO_TRY(d.unk, b.role("unk_token", "<unk>"));
  MIAO_CHECK_OK(b.additional());
  place_languages(d, Place::source_first, config, "en");
  frame_languages(d);
  return b.finish();
}

// One side of a Marian model. `target`: the side that it writes; its texts have no language token.
Result<TokenizerPtr> spm_marian_side(const SpmFile& file, std::string_view vocab, const char* name,
                                     const HfConfig& config, TokenizerPtr target) {
  SpmBuilder b(config);
  MIAO_CHECK_OK(use_vocab(b, file, vocab, name));
  TokenizerData& d = b.data();
  LanguageTable& table = d.languages;
  for (int32_t id = 0; target && id < d.vocab.size(); ++id) {
    const std::string_view piece = d.vocab.piece(id);
    if (piece.size() < 5 || !piece.starts_with(">>") || !piece.ends_with("<<")) continue;
    table.place = Place::target_first;
    table.languages.push_back({std::string(piece.substr(2, piece.size() - 4)), id});
    MIAO_CHECK_OK(b.cut_out({.content = std::string(piece), .special = true, .leading = true}));
  }
  table.source = config.source_language;
  table.target = config.target_language;
  // The ids that the configuration lists are those of the source.
  if (target || !config.separate_vocabs.value_or(false)) MIAO_CHECK_OK(b.configured());
  d.target = std::move(target);
  MIAO_TRY(d.eos, b.role("eos_token", "</s>"));
  MIAO_TRY(d.unk, b.role("unk_token", "<unk>"));
  MIAO_TRY(d.pad, b.role("pad_token", "<pad>"));
  MIAO_CHECK_OK(b.additional());
  d.frame.suffix = {*d.eos};
  return b.finish();
}

Result<void> find_languages(TokenizerData& data, const ReadFile& read) {
  const bool nllb = data.find("fra_Latn") >= 0, mbart = data.find("fr_XX") >= 0, more = data.find("gl_ES") >= 0;
  if (!nllb && !mbart) return {};
  MIAO_TRY(const HfConfig config, read_hf_config(read));
  for (const std::string_view list : {kNllbLanguages, kMbartLanguages, kMbart50Languages}) {
    if (nllb != (list == kNllbLanguages)) continue;
    for (const std::string_view code : words_of(list)) {
      if (const int32_t id = data.find(code); id >= 0) data.languages.languages.push_back({std::string(code), id});
    }
  }
  const Place place = nllb ? nllb_place(config) : more ? Place::source_first : Place::source_last;
  place_languages(data, place, config, nllb ? "eng_Latn" : "en_XX");
  return {};
}

}  // namespace miao::prep

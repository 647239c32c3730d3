// Tokenizers from GGUF metadata (keys tokenizer.ggml.*).
//
//   model   gpt2: byte-level BPE, the pre-tokenizer is named by `pre`; llama: SentencePiece BPE with scores; t5:
//   Unigram;
//           bert: WordPiece, whose pieces are spelled with U+2581 before words instead of "##" inside them;
//           gemma4: BPE with merges over characters
//   token_type   1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte
// Control and user-defined tokens become added tokens. Absent keys have the defaults that such files are written for.
#include <algorithm>
#include <span>

#include "base/key_values.h"
#include "prep/tok/gguf_pre.h"
#include "prep/tok/loaders.h"
#include "prep/tok/unicode.h"
#include "prep/tok/unigram.h"
#include "prep/tok/word_piece.h"
#include "prep/tokenizer.h"

namespace miao::prep {
namespace {

enum TokenType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

class Loader {
 public:
  explicit Loader(const KeyValues& meta) : meta_(meta), data_(std::make_shared<TokenizerData>()) {}

  Result<std::shared_ptr<const TokenizerData>> load() {
    MIAO_TRY(const std::string_view model, meta_.string(key("model")));
    kind_ = model;
    if (model != "gpt2" && model != "llama" && model != "t5" && model != "bert" && model != "gemma4") {
      return Error{Code::unsupported,
                   "tokenizer model \"" + std::string(model) + "\" is not known (gpt2, llama, t5, bert, gemma4 are)",
                   key("model")};
    }
    MIAO_CHECK_OK(read_pieces());
    MIAO_CHECK_OK(read_specials());
    if (model == "gpt2") MIAO_CHECK_OK(byte_level_bpe());
    if (model == "gemma4") MIAO_CHECK_OK(character_bpe());
    if (model == "llama") MIAO_CHECK_OK(sentencepiece_bpe());
    if (model == "t5") MIAO_CHECK_OK(unigram());
    if (model == "bert") MIAO_CHECK_OK(word_piece());
    MIAO_CHECK_OK(add_ends());
    MIAO_CHECK_OK(add_tokens());
    data_->collect_eog();
    return std::shared_ptr<const TokenizerData>(std::move(data_));
  }

 private:
  static std::string key(std::string_view name) { return "tokenizer.ggml." + std::string(name); }
  Error bad(std::string_view name, std::string message) const { return {Code::corrupt, std::move(message), key(name)}; }

  Result<void> read_pieces() {
    MIAO_TRY(const KeyValues::Strings* tokens, meta_.strings(key("tokens")));
    if (tokens->empty()) return bad("tokens", "the vocabulary is empty");
    if (tokens->size() > static_cast<size_t>(TokenizerData::kMaxVocab)) {
      return bad("tokens", std::to_string(tokens->size()) + " tokens; at most " +
                               std::to_string(TokenizerData::kMaxVocab) + " are supported");
    }
    const size_t n = tokens->size();
    if (meta_.has(key("token_type"))) {
      MIAO_TRY(types_, meta_.integers(key("token_type")));
      if (types_->size() != n) {
        return bad("token_type", std::to_string(types_->size()) + " types for " + std::to_string(n) + " tokens");
      }
    }
    if (meta_.has(key("scores"))) {
      MIAO_TRY(scores_, meta_.numbers(key("scores")));
      if (scores_.size() != n) {
        return bad("scores", std::to_string(scores_.size()) + " scores for " + std::to_string(n) + " tokens");
      }
    }
    size_t bytes = 0;
    for (size_t id = 0; id < n; ++id) {
      const std::string_view piece = (*tokens)[id];
      if (piece.size() > TokenizerData::kMaxTokenBytes) {
        return bad("tokens", "token " + std::to_string(id) + " has " + std::to_string(piece.size()) + " bytes");
      }
      bytes += piece.size() + 2;
    }
    if (bytes > TokenizerData::kMaxPieceBytes)
      return bad("tokens", "the tokens have " + std::to_string(bytes) + " bytes");
    data_->vocab.reserve(n, bytes);
    data_->special.resize(n);
    std::string spelled;
    for (size_t id = 0; id < n; ++id) {
      std::string_view piece = (*tokens)[id];
      if (!is_utf8(piece)) return bad("tokens", "token " + std::to_string(id) + " is not valid UTF-8");
      const int64_t type = type_of(id);
      data_->special[id] = type == kControl || type == kUnknown;
      if (kind_ == "bert" && type != kControl && type != kUnknown && !piece.empty()) {
        const bool word = piece.starts_with(kMetaSpace);
        spelled = word ? "" : "##";
        piece = spelled += word ? piece.substr(kMetaSpace.size()) : piece;
      }
      data_->vocab.add(piece, !piece.empty());
    }
    return {};
  }

  int64_t type_of(size_t id) const { return types_ ? (*types_)[id] : static_cast<int64_t>(kNormal); }
  int32_t size() const { return data_->vocab.size(); }

  // A special id: the key's value, or the default where the key is absent and the vocabulary has that id.
  Result<std::optional<int32_t>> special_id(std::string_view name, int64_t fallback) {
    const bool given = meta_.has(key(name));
    MIAO_TRY(const int64_t id, meta_.integer(key(name), fallback));
    if (id >= 0 && id < size()) return std::optional(static_cast<int32_t>(id));
    // Converters write -1 (also as unsigned) for "none".
    if (!given || id == -1 || id == UINT32_MAX) return std::optional<int32_t>();
    return bad(name,
               "id " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(size()) + " tokens");
  }

  Result<void> read_specials() {
    const bool llama = kind_ == "llama", bert = kind_ == "bert", t5 = kind_ == "t5";
    MIAO_TRY(data_->bos, special_id("bos_token_id", llama ? 1 : bert ? 101 : -1));
    MIAO_TRY(data_->eos, special_id("eos_token_id", llama ? 2 : t5 ? 1 : -1));
    MIAO_TRY(data_->unk, special_id("unknown_token_id", llama ? 0 : bert ? 100 : t5 ? 2 : -1));
    MIAO_TRY(data_->pad, special_id("padding_token_id", bert || t5 ? 0 : -1));
    MIAO_TRY(sep_, special_id("seperator_token_id", bert ? 102 : -1));
    MIAO_TRY(cls_, special_id("cls_token_id", -1));
    MIAO_CHECK_OK(special_id("mask_token_id", -1));
    return {};
  }

  Result<void> read_merges(Bpe& bpe) {
    MIAO_TRY(const KeyValues::Strings* merges, meta_.strings(key("merges")));
    if (merges->size() > static_cast<size_t>(TokenizerData::kMaxVocab)) {
      return bad("merges", std::to_string(merges->size()) + " merges are too many");
    }
    bpe.reserve_merges(merges->size());
    for (size_t i = 0; i < merges->size(); ++i) {
      const std::string_view text = (*merges)[i];
      const size_t space = text.find(' ', 1);
      if (space == std::string_view::npos || space + 1 == text.size()) {
        return bad("merges", "merge " + std::to_string(i) + " is not two pieces with a blank between them");
      }
      if (auto r = bpe.merge(text.substr(0, space), text.substr(space + 1)); !r.ok())
        return std::move(r.error()).at(key("merges"));
    }
    return {};
  }

  std::vector<bool> in_model() const {
    std::vector<bool> in(static_cast<size_t>(size()), true);
    for (size_t id = 0; id < in.size(); ++id) in[id] = type_of(id) != kControl;
    return in;
  }

  Result<void> byte_level_bpe() {
    MIAO_TRY(const std::string_view name, meta_.string(key("pre"), "gpt-2"));
    const GgufPre* pre = find_pre(name == "default" ? "gpt-2" : name);
    if (!pre) {
      return Error{Code::unsupported, "pre-tokenizer \"" + std::string(name) + "\" is not known to this version",
                   key("pre")};
    }
    auto bpe = std::make_unique<Bpe>(data_->vocab, BpeOptions{.byte_level = true, .ignore_merges = pre->ignore_merges});
    MIAO_CHECK_OK(read_merges(*bpe));
    bpe->finish(in_model());
    data_->model = std::move(bpe);
    data_->pre_tokenizer.steps = steps_of(*pre);
    MIAO_TRY(const bool space, meta_.boolean(key("add_space_prefix"), false));
    if (space) data_->pre_tokenizer.steps.insert(data_->pre_tokenizer.steps.begin(), {.kind = PreStep::Kind::prefix});
    data_->decoder.steps = {{.kind = DecodeStep::Kind::byte_level}};
    add_bos_ = pre->add_bos;
    add_sep_ = pre->add_sep;
    return {};
  }

  // Blanks are U+2581 in the pieces; the decoder puts them back.
  void meta_space_decoder(bool prefixed) {
    data_->decoder.steps = {replace_step(std::string(kMetaSpace), " "),
                            {.kind = DecodeStep::Kind::byte_fallback},
                            {.kind = DecodeStep::Kind::fuse}};
    if (prefixed) data_->decoder.steps.push_back({.kind = DecodeStep::Kind::strip, .a = " ", .start = 1});
  }

  Result<void> character_bpe() {
    auto bpe = std::make_unique<Bpe>(
        data_->vocab, BpeOptions{.byte_fallback = true, .fuse_unk = true, .unk = data_->unk.value_or(-1)});
    MIAO_CHECK_OK(read_merges(*bpe));
    bpe->finish(in_model());
    data_->model = std::move(bpe);
    data_->normalizer.steps = {{.kind = NormalizerStep::Kind::replace, .a = " ", .b = std::string(kMetaSpace)}};
    meta_space_decoder(false);
    add_bos_ = true;
    return {};
  }

  Result<bool> meta_space_normalizer() {
    MIAO_TRY(const bool prefix, meta_.boolean(key("add_space_prefix"), true));
    MIAO_TRY(const bool squeeze, meta_.boolean(key("remove_extra_whitespaces"), false));
    if (squeeze) data_->normalizer.steps.push_back({.kind = NormalizerStep::Kind::squeeze});
    if (prefix) data_->normalizer.steps.push_back({.kind = NormalizerStep::Kind::prepend, .a = " "});
    data_->normalizer.steps.push_back({.kind = NormalizerStep::Kind::replace, .a = " ", .b = std::string(kMetaSpace)});
    return prefix;
  }

  std::vector<bool> text_pieces() const {  // pieces that text may become
    std::vector<bool> in(static_cast<size_t>(size()));
    for (size_t id = 0; id < in.size(); ++id) {
      in[id] = (type_of(id) == kNormal || type_of(id) == kUserDefined) &&
               !data_->vocab.piece(static_cast<int32_t>(id)).empty();
    }
    return in;
  }

  Result<void> sentencepiece_bpe() {
    if (scores_.empty())
      return Error{Code::not_found, "a llama tokenizer needs the scores of its tokens", key("scores")};
    auto bpe = std::make_unique<Bpe>(
        data_->vocab, BpeOptions{.sentencepiece = true, .byte_fallback = true, .unk = data_->unk.value_or(-1)});
    bpe->set_scores({scores_.begin(), scores_.end()}, text_pieces());
    MIAO_CHECK_OK(check_bytes());
    bpe->finish({});
    data_->model = std::move(bpe);
    MIAO_TRY(const bool prefixed, meta_space_normalizer());
    meta_space_decoder(prefixed);
    add_bos_ = true;
    return {};
  }

  // Tokens of type byte must be spelled <0xNN>.
  Result<void> check_bytes() {
    for (int32_t id = 0; id < size(); ++id) {
      const std::string_view piece = data_->vocab.piece(id);
      constexpr std::string_view kHex = "0123456789ABCDEF";
      const bool well = piece.size() == 6 && piece.starts_with("<0x") && piece[5] == '>' &&
                        kHex.find(piece[3]) != std::string_view::npos && kHex.find(piece[4]) != std::string_view::npos;
      if (type_of(static_cast<size_t>(id)) == kByte && !well) {
        return bad("tokens", "byte token " + std::to_string(id) + " is spelled \"" + std::string(piece.substr(0, 20)) +
                                 "\"; it must be <0x00> to <0xFF>");
      }
    }
    return {};
  }

  Result<void> unigram() {
    if (scores_.empty()) return Error{Code::not_found, "a t5 tokenizer needs the scores of its tokens", key("scores")};
    MIAO_CHECK_OK(check_bytes());
    auto normalizer = std::make_shared<SpmNormalizer>();
    if (meta_.has(key("precompiled_charsmap"))) {
      MIAO_TRY(const KeyValues::Ints* values, meta_.integers(key("precompiled_charsmap")));
      std::string blob;
      blob.reserve(values->size());
      for (int64_t v : *values) {
        if (v < -128 || v > 255) return bad("precompiled_charsmap", "a value is not a byte");
        blob += static_cast<char>(v);
      }
      if (!blob.empty()) {
        auto map = Charsmap::parse(blob);
        if (!map.ok()) return std::move(map.error()).at(key("precompiled_charsmap"));
        normalizer->map = std::move(*map);
      }
    }
    MIAO_TRY(normalizer->dummy_prefix, meta_.boolean(key("add_space_prefix"), true));
    MIAO_TRY(normalizer->squeeze, meta_.boolean(key("remove_extra_whitespaces"), true));
    meta_space_decoder(normalizer->dummy_prefix);
    data_->normalizer.steps = {{.kind = NormalizerStep::Kind::sentencepiece, .spm = std::move(normalizer)}};
    UnigramOptions options{.unk = data_->unk.value_or(-1), .single = true};
    auto model = Unigram::make(data_->vocab, scores_, text_pieces(), options);
    if (!model.ok()) return std::move(model.error()).at(key("tokens"));
    data_->model = std::move(*model);
    add_eos_ = true;
    return {};
  }

  Result<void> word_piece() {
    if (!data_->unk) return Error{Code::not_found, "a bert tokenizer needs unknown_token_id", key("unknown_token_id")};
    MIAO_TRY(const bool lower, meta_.boolean(key("normalizer.lowercase"), true));
    MIAO_TRY(const bool accents, meta_.boolean(key("normalizer.strip_accents"), lower));
    data_->normalizer.steps = {
        {.kind = NormalizerStep::Kind::bert, .clean_text = true, .chinese = true, .accents = accents, .lower = lower}};
    data_->pre_tokenizer.steps = {
        {.kind = PreStep::Kind::characters, .flags = kWhite, .behavior = Behavior::removed},
        {.kind = PreStep::Kind::characters, .flags = kBertPunct},
    };
    data_->decoder.steps = {{.kind = DecodeStep::Kind::word_piece, .a = "##", .flag = true}};
    auto model = WordPiece::make(data_->vocab, in_model(), "##", *data_->unk, 100);
    if (!model.ok()) return std::move(model.error()).at(key("tokens"));
    data_->model = std::move(*model);
    if (cls_) data_->bos = cls_;
    add_bos_ = add_sep_ = true;
    return {};
  }

  Result<void> add_ends() {
    MIAO_TRY(const bool bos, meta_.boolean(key("add_bos_token"), add_bos_));
    MIAO_TRY(const bool eos, meta_.boolean(key("add_eos_token"), add_eos_));
    MIAO_TRY(const bool sep, meta_.boolean(key("add_sep_token"), add_sep_));
    if (bos && data_->bos) data_->frame.prefix.push_back(*data_->bos);
    if (sep && sep_) {
      data_->frame.suffix.push_back(*sep_);
    } else if (eos && data_->eos) {
      data_->frame.suffix.push_back(*data_->eos);
    }
    if (bos && data_->bos && sep && sep_) {  // of WordPiece
      constexpr int32_t kFirst = Frame::Part::kFirst, kSecond = Frame::Part::kSecond;
      data_->frame.pair = {{*data_->bos, 0}, {kFirst, 0}, {*sep_, 0}, {kSecond, 1}, {*sep_, 1}};
    }
    return {};
  }

  Result<void> add_tokens() {
    for (int32_t id = 0; id < size(); ++id) {
      const int64_t type = type_of(static_cast<size_t>(id));
      const bool special = data_->special[static_cast<size_t>(id)];
      if (!special && type != kUserDefined) continue;
      AddedToken token{.content = std::string(data_->vocab.piece(id)), .id = id, .special = special};
      if (auto r = data_->added.add(token, token.content); !r.ok()) return std::move(r.error()).at(key("tokens"));
    }
    return {};
  }

  const KeyValues& meta_;
  std::shared_ptr<TokenizerData> data_;
  std::string_view kind_;
  const KeyValues::Ints* types_ = nullptr;
  KeyValues::Floats scores_;
  std::optional<int32_t> sep_, cls_;
  bool add_bos_ = false, add_eos_ = false, add_sep_ = false;
};

}  // namespace

PreStep split_step(Scanner scanner) { return {.kind = PreStep::Kind::split, .scanner = scanner}; }

DecodeStep replace_step(std::string from, std::string to) {
  return {.kind = DecodeStep::Kind::replace, .a = std::move(from), .b = std::move(to)};
}

Result<std::shared_ptr<const TokenizerData>> load_gguf(const KeyValues& meta) { return Loader(meta).load(); }

Result<Tokenizer> Tokenizer::from_gguf(const KeyValues& meta) {
  auto data = load_gguf(meta);
  if (!data.ok()) return std::move(data.error()).at(meta.source());
  return Tokenizer(std::move(*data));
}

}  // namespace miao::prep

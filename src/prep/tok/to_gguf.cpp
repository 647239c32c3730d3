// Tokenizers as GGUF metadata, the inverse of from_gguf.cpp; see prep/tokenizer_keys.h.
#include <algorithm>
#include <optional>
#include <unordered_map>

#include "prep/tok/bpe.h"
#include "prep/tok/data.h"
#include "prep/tok/gguf_pre.h"
#include "prep/tok/unicode.h"
#include "prep/tokenizer_keys.h"

namespace miao::prep {
namespace {

enum TokenType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

constexpr float kUnusedScore = -10000;

Error cannot(const std::string& what) {
  return {Code::unsupported,
          "GGUF files cannot say " + what +
              "; write safetensors instead, which keep the tokenizer's "
              "own files",
          "tokenizer"};
}

bool is_byte_token(std::string_view piece) {
  return piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>');
}

class Writer {
 public:
  Writer(const TokenizerData& data, int64_t vocab, bool frame)
      : d_(data), vocab_(vocab), frame_(frame), parts_(data.model->parts()) {}

  Result<TokenizerKeys> write() {
    if (d_.vocab.size() > vocab_) {
      return Error{Code::invalid,
                   "has " + std::to_string(d_.vocab.size()) + " tokens, and the model's table has " +
                       std::to_string(vocab_) + " rows",
                   "tokenizer"};
    }
    const std::string_view kind = d_.model->kind();
    if (kind == "byte-level BPE") MIAO_CHECK_OK(byte_level());
    if (kind == "BPE") MIAO_CHECK_OK(characters());
    if (kind == "SentencePiece BPE") MIAO_CHECK_OK(sentencepiece());
    if (kind == "Unigram") MIAO_CHECK_OK(unigram());
    if (kind == "WordPiece") MIAO_CHECK_OK(word_piece());
    if (frame_) MIAO_CHECK_OK(find_ends());
    TokenizerKeys out;
    out.keys.swap(out_.keys);  // of the model; they stand behind the tokens
    set("model", model_);
    set("pre", std::string(pre_));
    write_pieces();
    std::move(out.keys.begin(), out.keys.end(), std::back_inserter(out_.keys));
    write_specials();
    note_flags();
    return std::move(out_);
  }

 private:
  using Kind = NormalizerStep::Kind;

  void set(std::string_view name, TokenizerValue value) {
    out_.keys.emplace_back("tokenizer.ggml." + std::string(name), std::move(value));
  }
  bool bert() const { return model_ == "bert"; }
  bool scored() const { return model_ == "llama" || model_ == "t5"; }

  const std::vector<NormalizerStep>& normal() const { return d_.normalizer.steps; }
  const std::vector<PreStep>& cuts() const { return d_.pre_tokenizer.steps; }
  bool normal_is(size_t at, Kind kind) const { return at < normal().size() && normal()[at].kind == kind; }
  bool writes_blanks(size_t at) const {
    return normal_is(at, Kind::replace) && !normal()[at].scanner && normal()[at].a == " " &&
           normal()[at].b == kMetaSpace;
  }
  bool is_metaspace(const PreStep& s) const { return s.kind == PreStep::Kind::metaspace && s.pattern == kMetaSpace; }

  Result<void> byte_level() {
    model_ = "gpt2";
    if (normal().size() == 1 && normal_is(0, Kind::nfc)) {
      out_.notes.push_back(
          "GGUF files of byte-level BPE do not compose characters (NFC): texts with decomposed ones "
          "give other ids");
    } else if (!normal().empty()) {
      return cannot("what the normalizer of this byte-level BPE does");
    }
    std::vector<PreStep> steps = cuts();
    const bool prefix = !steps.empty() && steps.front().kind == PreStep::Kind::prefix;
    if (prefix) steps.erase(steps.begin());
    pre_ = name_of(steps, parts_.ignore_merges);
    // Merging or not makes no difference where every piece is what its merges give.
    if (pre_.empty() && !parts_.ignore_merges && pieces_are_their_merges()) pre_ = name_of(steps, true);
    if (pre_.empty()) return cannot("how this tokenizer cuts text into words: its expressions have no name there");
    write_merges();
    set("add_space_prefix", prefix);
    return {};
  }

  bool pieces_are_their_merges() {
    std::string bytes;
    for (int32_t id = 0; id < d_.vocab.size(); ++id) {
      bytes.clear();
      if (added(id) || !append_alphabet_bytes(bytes, d_.vocab.piece(id)) || !is_utf8(bytes)) continue;
      Pieces found;
      if (!bytes.empty()) d_.model->encode(bytes, found);
      if (!bytes.empty() && found.ids != Ids{id}) return false;
    }
    return true;
  }

  void write_merges() {
    std::vector<std::string> merges;
    for (const auto& [left, right] : parts_.merges)
      merges.push_back(std::string(d_.vocab.piece(left)) + ' ' + std::string(d_.vocab.piece(right)));
    set("merges", std::move(merges));
  }

  // Whether a blank stands before a text that becomes pieces of characters; no value: something else is done.
  std::optional<bool> blank_before() {
    const size_t n = normal().size();
    if (n == 0 && cuts().size() == 1 && is_metaspace(cuts()[0]) && !cuts()[0].cut) {
      note_first(cuts()[0]);
      return cuts()[0].prepend != Prepend::never;
    }
    // A cut at blanks finds none where they have been rewritten.
    const bool plain = cuts().empty() || (cuts().size() == 1 && cuts()[0].kind == PreStep::Kind::split &&
                                          !cuts()[0].scanner && cuts()[0].pattern == " ");
    if (!plain) return std::nullopt;
    if (n == 1 && writes_blanks(0)) return false;
    const bool prepends = normal_is(0, Kind::prepend) && (normal()[0].a == kMetaSpace || normal()[0].a == " ");
    if (n == 2 && prepends && writes_blanks(1)) return true;
    return std::nullopt;
  }

  void note_first(const PreStep& metaspace) {
    if (metaspace.prepend != Prepend::first) return;
    out_.notes.push_back(
        "GGUF files put a blank before every stretch of a text, not before the first alone: the token "
        "behind a control token may differ");
  }

  // Merges over characters, as Hugging Face writes what was a SentencePiece model.
  Result<void> characters() {
    if (!parts_.prefix.empty() || !parts_.suffix.empty() || parts_.ignore_merges)
      return cannot("how this BPE marks the ends of words");
    const std::optional<bool> blank = blank_before();
    if (!blank) return cannot("what the normalizer of this BPE does");
    if (parts_.byte_fallback && scores_of_merges()) {
      model_ = "llama";
      set("add_space_prefix", *blank);
      return {};
    }
    if (*blank || !parts_.byte_fallback)
      return cannot("the merges of this BPE: scores of its pieces would give others");
    model_ = "gemma4";
    write_merges();
    return {};
  }

  // SentencePiece merges the pair whose whole has the highest score. That is the order of the merges where those that
  // give the same piece follow one another, and all pairs that a piece can be made of are there.
  bool scores_of_merges() {
    const auto n = static_cast<size_t>(d_.vocab.size());
    parts_.scores.assign(n, 0);
    parts_.spelled.assign(n, true);
    std::vector<size_t> made(n);  // pairs that give the piece
    std::string whole;
    int32_t last = -1;
    for (size_t rank = 0; rank < parts_.merges.size(); ++rank) {
      const auto& [left, right] = parts_.merges[rank];
      whole.assign(d_.vocab.piece(left)).append(d_.vocab.piece(right));
      const int32_t id = d_.vocab.find(whole);
      const auto at = static_cast<size_t>(id);
      if (id < 0) return false;
      if (added(id)) continue;  // cut out before
      if (made[at] > 0 && id != last) return false;
      if (made[at]++ == 0) parts_.scores[at] = -static_cast<float>(rank);
      last = id;
    }
    for (size_t id = 0; id < n; ++id) {
      const std::string_view piece = d_.vocab.piece(static_cast<int32_t>(id));
      if (added(static_cast<int32_t>(id)) || (parts_.byte_fallback && is_byte_token(piece))) continue;
      size_t pairs = 0;
      for (size_t at = 0; at < piece.size(); at += rune_at(piece.data() + at).size) {
        if (at > 0 && d_.vocab.find(piece.substr(0, at)) >= 0 && d_.vocab.find(piece.substr(at)) >= 0) ++pairs;
      }
      if (pairs != made[id]) return false;
    }
    return true;
  }

  // SentencePiece's own normalizer, of a model that was read from such a file, or from a GGUF file.
  Result<void> sentencepiece() {
    model_ = "llama";
    bool blank = false, squeeze = false;
    if (normal().size() == 1 && normal_is(0, Kind::sentencepiece)) {
      const SpmNormalizer& n = *normal()[0].spm;
      MIAO_CHECK_OK(check_spm(n));
      if (n.map) {
        out_.notes.push_back(
            "GGUF files of SentencePiece BPE have no map of characters: texts with compatibility "
            "characters give other ids");
      }
      blank = n.dummy_prefix;
      squeeze = n.squeeze;
      if (cuts().size() == 1 && is_metaspace(cuts()[0])) {
        note_first(cuts()[0]);
        blank = true;
      }
    } else {
      size_t at = 0;
      squeeze = normal_is(at, Kind::squeeze);
      if (squeeze) ++at;
      blank = normal_is(at, Kind::prepend);
      if (blank) ++at;
      if (!writes_blanks(at) || at + 1 != normal().size()) return cannot("what the normalizer of this BPE does");
    }
    set("add_space_prefix", blank);
    set("remove_extra_whitespaces", squeeze);
    return {};
  }

  static Result<void> check_spm(const SpmNormalizer& n) {
    if (n.suffix) return cannot("that words end with a blank instead of beginning with one");
    return {};
  }

  Result<void> unigram() {
    model_ = "t5";
    bool blank = false, squeeze = false;
    std::string map;
    if (normal().size() == 1 && normal_is(0, Kind::sentencepiece)) {
      const SpmNormalizer& n = *normal()[0].spm;
      MIAO_CHECK_OK(check_spm(n));
      blank = n.dummy_prefix;
      squeeze = n.squeeze;
      if (n.map) map = n.map->blob();
    } else {
      for (const NormalizerStep& step : normal()) {
        const bool runs = step.kind == Kind::replace && step.scanner == find_scanner(" {2,}");
        if (step.kind == Kind::charsmap) map = step.map->blob();
        squeeze |= runs || step.kind == Kind::squeeze;
        if (!runs && step.kind != Kind::charsmap && step.kind != Kind::strip && step.kind != Kind::squeeze)
          return cannot("what the normalizer of this Unigram model does");
      }
      MIAO_CHECK_OK(unigram_cuts(&blank, &squeeze));
      if (!map.empty() || squeeze) {
        out_.notes.push_back(
            "GGUF files mean what SentencePiece does: texts with unusual blanks, and letters with marks "
            "behind them, may give other ids than tokenizer.json");
      }
    }
    set("add_space_prefix", blank);
    set("remove_extra_whitespaces", squeeze);
    if (!map.empty()) set("precompiled_charsmap", std::vector<uint8_t>(map.begin(), map.end()));
    return {};
  }

  Result<void> unigram_cuts(bool* blank, bool* squeeze) {
    const bool words = !cuts().empty() && cuts()[0].kind == PreStep::Kind::characters && cuts()[0].flags == kWhite &&
                       cuts()[0].behavior == Behavior::removed;
    *squeeze |= words;
    if (cuts().size() != (words ? 2u : 1u) || !is_metaspace(cuts().back()))
      return cannot("how this Unigram model cuts text into words");
    note_first(cuts().back());
    *blank = cuts().back().prepend != Prepend::never;
    return {};
  }

  Result<void> word_piece() {
    model_ = "bert";
    constexpr size_t kMaxChars = 100;
    const std::vector<PreStep> usual = {
        {.kind = PreStep::Kind::characters, .flags = kWhite, .behavior = Behavior::removed},
        {.kind = PreStep::Kind::characters, .flags = kBertPunct},
    };
    if (normal().size() != 1 || !normal_is(0, Kind::bert) || !normal()[0].clean_text || !normal()[0].chinese)
      return cannot("what the normalizer of this WordPiece model does");
    if (cuts() != usual) return cannot("how this WordPiece model cuts text into words");
    if (parts_.prefix != "##" || parts_.max_chars != kMaxChars)
      return cannot("the prefix of this WordPiece model, or how long its words may be");
    set("normalizer.lowercase", normal()[0].lower);
    set("normalizer.strip_accents", normal()[0].accents);
    return {};
  }

  // The ids around a text. What stands there is named as the begin and the end.
  Result<void> find_ends() {
    const Frame& f = d_.frame;
    if (f.prefix.size() > 1 || f.suffix.size() > 1 || d_.languages.place != LanguageTable::Place::none || d_.target) {
      return cannot("what stands around a text of this tokenizer");
    }
    if (!f.prefix.empty()) bos_ = f.prefix[0];
    if (f.suffix.empty()) return {};
    if (bert() || (eos_ && *eos_ != f.suffix[0])) {
      sep_ = f.suffix[0];
    } else {
      eos_ = f.suffix[0];
    }
    return {};
  }

  const AddedToken* added(int32_t id) {
    if (added_.empty() && !d_.added.tokens().empty()) {
      for (const AddedToken& token : d_.added.tokens()) added_.emplace(token.id, &token);
    }
    const auto at = added_.find(id);
    return at == added_.end() ? nullptr : at->second;
  }

  int32_t type_of(int32_t id, std::string_view piece) {
    if (piece.empty()) return kUnused;
    const bool control = d_.special[static_cast<size_t>(id)] != 0;
    if (d_.unk == id && (scored() || !control)) return kUnknown;
    if (control) return kControl;
    if (added(id)) return kUserDefined;
    if (!scored()) return kNormal;
    if (parts_.byte_fallback && is_byte_token(piece)) return kByte;
    const auto at = static_cast<size_t>(id);
    return at < parts_.spelled.size() && parts_.spelled[at] ? kNormal : kUnused;
  }

  void write_pieces() {
    std::vector<std::string> tokens;
    std::vector<float> scores;
    std::vector<int32_t> types;
    for (int32_t id = 0; id < vocab_; ++id) {
      const std::string_view piece = id < d_.vocab.size() ? d_.vocab.piece(id) : std::string_view();
      const int32_t type = type_of(id, piece);
      types.push_back(type);
      if (piece.empty()) {
        tokens.push_back("[PAD" + std::to_string(id) + "]");
      } else if (bert() && type != kControl &&
                 type != kUnknown) {  // words begin with U+2581 instead of going on with ##
        tokens.push_back(piece.starts_with("##") && piece.size() > 2 ? std::string(piece.substr(2))
                                                                     : std::string(kMetaSpace).append(piece));
      } else {
        tokens.emplace_back(piece);
      }
      const auto at = static_cast<size_t>(id);
      scores.push_back(type == kUnused ? kUnusedScore : at < parts_.scores.size() ? parts_.scores[at] : 0.0f);
    }
    set("tokens", std::move(tokens));
    if (scored()) set("scores", std::move(scores));
    set("token_type", std::move(types));
  }

  void write_id(std::string_view name, std::optional<int32_t> id) {
    if (id) set(name, static_cast<uint32_t>(*id));
  }
  // Readers have an id of their own where a file does not say it; -1 says that there is none.
  void write_or_none(std::string_view name, std::optional<int32_t> id, bool has_default) {
    if (id || has_default) set(name, id ? static_cast<uint32_t>(*id) : UINT32_MAX);
  }

  void write_specials() {
    const bool llama = model_ == "llama", t5 = model_ == "t5";
    write_or_none("bos_token_id", bos_, llama);
    write_or_none("eos_token_id", eos_, llama || t5);
    write_or_none("unknown_token_id", d_.unk, llama || t5);
    write_or_none("padding_token_id", d_.pad, bert() || t5);
    write_or_none("seperator_token_id", sep_, bert());  // spelled so in the files
    if (bert()) write_id("cls_token_id", bos_);
    for (const std::string_view mask : {"[MASK]", "<mask>"}) {
      const int32_t id = d_.find(mask);
      if (id >= 0 && d_.special[static_cast<size_t>(id)]) write_id("mask_token_id", id);
    }
    set("add_bos_token", frame_ && !d_.frame.prefix.empty());
    set("add_eos_token", frame_ && !d_.frame.suffix.empty() && !sep_);
    if (bert() || sep_) set("add_sep_token", sep_.has_value());
  }

  void note_flags() {
    const auto& tokens = d_.added.tokens();
    const bool any = std::any_of(tokens.begin(), tokens.end(), [](const AddedToken& t) {
      return t.lstrip || t.rstrip || t.single_word || (t.normalized && !t.special);
    });
    if (any && !normal().empty()) {
      out_.notes.push_back(
          "GGUF files do not say which added tokens take the blanks beside them, or are found in "
          "normalized text: written out in a text, such tokens may give other ids");
    }
  }

  const TokenizerData& d_;
  int64_t vocab_;
  bool frame_;
  ModelParts parts_;
  TokenizerKeys out_;
  std::string model_;
  std::string_view pre_ = "default";
  std::optional<int32_t> bos_ = d_.bos, eos_ = d_.eos, sep_;
  std::unordered_map<int32_t, const AddedToken*> added_;
};

}  // namespace

Result<TokenizerKeys> gguf_keys(const Tokenizer& tokenizer, int64_t vocab, bool frame) {
  return Writer(tokenizer.data(), vocab, frame).write();
}

}  // namespace miao::prep

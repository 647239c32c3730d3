// Tokenizer: text to token ids and back, from tokenizer.json, from SentencePiece models, or from the metadata of a GGUF
// file.
//
//   text -> added tokens cut out -> normalizer -> pre-tokenizer -> model (BPE, Unigram, WordPiece) -> begin / end ids
//   ids  -> pieces -> decoder -> text
//
// Ids are those of Hugging Face `tokenizers` for tokenizer.json, those of SentencePiece for SentencePiece models, in
// GGUF files too, numbered as transformers numbers them where a directory holds such models. A tokenizer is immutable
// and may be used from many threads; copies share it. Text that is not valid UTF-8 is read as if each broken sequence
// were U+FFFD. Time and memory are linear in the text (time n log n within one word) whatever the file of the tokenizer
// holds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/key_values.h"
#include "base/result.h"

namespace miao::prep {

struct Segment;  // prep/chat_template.h: a byte range of a rendered conversation and whether it is trusted
struct TokenizerData;

struct EncodeOptions {
  bool add_special = true;    // the begin and end ids that the tokenizer's file asks for
  bool parse_special = true;  // control tokens written out in the text become their ids
};

struct ByteRange {
  uint32_t begin = 0, end = 0;
  bool empty() const { return begin == end; }
  bool operator==(const ByteRange&) const = default;
};

// Ids and the bytes of the text that each came from, in whole code points: the tokens of a letter that takes several
// all have the letter. Empty for tokens that stand around the text.
struct LocatedIds {
  std::vector<int32_t> ids;
  std::vector<ByteRange> ranges;
};

struct PairOptions {
  size_t limit = SIZE_MAX;  // ids; the second text loses its end where there are more
  bool ranges = false;
};

// Two texts as one input of an encoder.
struct EncodedPair {
  std::vector<int32_t> ids, types;     // types: the segment of each id
  std::vector<ByteRange> ranges;       // of each id in its own text, where they were asked for
  size_t first = 0, first_size = 0;    // where the tokens of the first text stand
  size_t second = 0, second_size = 0;  // and those of the second
};

// The text of a file of a model's directory; no value when there is none of that name.
using ReadFile = std::function<Result<std::optional<std::string>>(const char* name)>;

class Tokenizer {
 public:
  // `tokenizer_config_json` may be empty; it names the special tokens (bos_token, eos_token, ...) and add_bos_token.
  // `where` names the file in errors. unsupported: a component or expression that miao does not know; corrupt: a file
  // that contradicts itself.
  static Result<Tokenizer> from_json(std::string_view tokenizer_json, std::string_view tokenizer_config_json,
                                     std::string_view where);
  // From tokenizer.json where there is one, otherwise from the SentencePiece models of T5, Llama, Gemma, XLM-RoBERTa,
  // mBART, NLLB, M2M-100 and Marian (tok/from_files.cpp). not_found: none of these files.
  static Result<Tokenizer> from_files(const ReadFile& read, std::string_view where);
  // A SentencePiece model alone, with its own ids.
  static Result<Tokenizer> from_sentencepiece(std::string_view bytes, std::string_view where);
  // Reads the keys tokenizer.ggml.*; keeps nothing of `meta`.
  static Result<Tokenizer> from_gguf(const KeyValues& meta);

  // invalid: a text of more than kMaxText bytes, or one that the normalizer makes many times as long.
  static constexpr size_t kMaxText = INT32_MAX;
  Result<std::vector<int32_t>> encode(std::string_view text, EncodeOptions options = {}) const;
  // A rendered conversation: control tokens are found only where they lie wholly in trusted segments.
  Result<std::vector<int32_t>> encode(std::string_view text, std::span<const Segment> segments, bool add_special) const;
  // The same ids, and where they came from: as Hugging Face's library tells it, but that a letter and its marks are one
  // where they are rewritten together. Takes several times as long as encode().
  Result<LocatedIds> locate(std::string_view text, EncodeOptions options = {}) const;
  // Two texts with the tokens that the file puts around and between them. unsupported: the file does not say how.
  Result<EncodedPair> encode_pair(std::string_view first, std::string_view second, PairOptions options = {}) const;
  // The same of ids, which have no such tokens yet.
  Result<EncodedPair> join(std::span<const int32_t> first, std::span<const int32_t> second) const;
  // What `add_special` puts in front of a text and behind it.
  std::span<const int32_t> prefix() const;
  std::span<const int32_t> suffix() const;
  // Valid UTF-8. Ids outside the vocabulary are skipped; `skip_special` leaves control tokens out.
  std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;

  // Of the texts that the model writes. It is this one, but for a Marian model, whose two sides have pieces (and with
  // separate vocabularies also ids) of their own.
  Tokenizer target() const;

  int32_t vocab_size() const;                      // ids are 0 .. vocab_size() - 1; some of them may have no piece
  std::string_view id_to_piece(int32_t id) const;  // as its file spells it; empty: no such id
  std::optional<int32_t> piece_to_id(std::string_view piece) const;
  std::optional<int32_t> bos_id() const;
  std::optional<int32_t> eos_id() const;
  std::optional<int32_t> unk_id() const;
  std::optional<int32_t> pad_id() const;
  bool is_special(int32_t id) const;         // a control token
  bool is_eog(int32_t id) const;             // generation ends at it
  std::span<const int32_t> eog_ids() const;  // ascending
  std::string_view kind() const;             // "byte-level BPE", "BPE", "SentencePiece BPE", "Unigram", "WordPiece"
  const TokenizerData& data() const { return *data_; }  // for this module

 private:
  friend class StreamDecoder;
  friend class Languages;
  explicit Tokenizer(std::shared_ptr<const TokenizerData> data) : data_(std::move(data)) {}
  std::shared_ptr<const TokenizerData> data_;
};

// Turns ids into text as they come. Each push returns only complete code points; what stays incomplete comes with the
// next ids or, as U+FFFD, with flush().
class StreamDecoder {
 public:
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_special = true);
  ~StreamDecoder();
  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;

  std::string push(int32_t id);
  std::string flush();  // the stream can be used again afterwards, as a new one

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace miao::prep

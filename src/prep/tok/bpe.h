// Byte-pair encoding: merges the pair of lowest rank (leftmost first) until none is left.
//
// Three ways to the first symbols and the ranks:
//   byte level      a symbol is a byte; ranks by (left id, right id)                 GPT-2, Llama 3, Qwen, SmolLM
//   characters      a symbol is a code point, or byte tokens <0xNN>; ranks as above  Llama 2, Gemma from tokenizer.json
//   sentencepiece   a symbol is a code point; the rank of a pair is the score of its joined text    GGUF "llama"
//
//   merges   {left, right -> rank, id}: open addressing, 16 bytes a slot, at most 2/3 full
//
// Words of up to kShort symbols merge in arrays on the stack by scanning for the lowest rank; longer ones in a heap
// with a linked list, O(n log n), because a prompt may be one word of a million letters.
#pragma once

#include <array>
#include <bitset>
#include <memory>

#include "base/result.h"
#include "prep/tok/model.h"
#include "prep/tok/vocab.h"

namespace miao::prep {

struct BpeOptions {
  bool byte_level = false;
  bool spelled_bytes = false;  // characters of the byte alphabet, with prefix or suffix (CLIP)
  bool sentencepiece = false;  // ranks from `scores`, no merge list
  bool byte_fallback = false;
  bool fuse_unk = false;
  bool ignore_merges = false;  // a word that is a piece is that piece
  int32_t unk = -1;
  const Vocab* surfaces = nullptr;  // sentencepiece: unknown text that is spelled here has this id, counted from the
                                    // vocabulary's size
  std::string prefix;               // of a symbol that does not begin a word
  std::string suffix;               // of the symbol that ends a word
};

class Bpe : public Model {
 public:
  // `vocab` outlives the model. Merges come in rank order through merge().
  Bpe(const Vocab& vocab, BpeOptions options);
  void reserve_merges(size_t count);
  // corrupt: a part or the whole is not in the vocabulary, or the pair was there before.
  Result<void> merge(std::string_view left, std::string_view right);
  // Sentencepiece ranks: scores[id], and which ids may take part.
  void set_scores(std::vector<float> scores, std::vector<bool> mergeable);
  // Call once after the last merge. `in_model[id]` false: a control token, which no text spells; empty: all are pieces.
  void finish(const std::vector<bool>& in_model);

  void encode(std::string_view word, Pieces& out) const override;
  std::string_view kind() const override;
  ModelParts parts() const override;

 private:
  struct Pair {
    uint32_t rank;  // kNoRank: none
    int32_t id;
  };
  struct Slot {
    uint64_t key;
    uint32_t rank;
    int32_t id;
  };
  struct Symbol {
    int32_t id;
    uint32_t begin, size;  // bytes of the word
  };
  struct Scratch;
  static Scratch& scratch();

  Pair find(int32_t left, int32_t right) const;
  Pair find_text(std::string_view text) const;
  Pair pair_of(const char* word, const Symbol& a, const Symbol& b) const;
  int32_t find_piece(std::string_view bytes) const;  // of raw bytes when byte level
  void allow_join(std::string_view left, std::string_view right);
  void encode_cut(std::string_view word, Pieces& out) const;
  void encode_word(std::string_view word, Pieces& out) const;
  void merge_word(std::string_view word, Pieces& out) const;
  void first_symbols(std::string_view word, std::vector<Symbol>& symbols) const;
  void merge_heap(std::string_view word, Scratch& s, Pieces& out) const;
  void emit(std::string_view word, const Symbol& symbol, uint32_t* unknown, Pieces& out) const;

  const Vocab& vocab_;
  BpeOptions options_;
  uint32_t serial_;  // of this model, in the keys of the word tables
  HashKey hash_ = HashKey::of_process();
  std::vector<Slot> slots_;
  uint32_t merges_ = 0;
  int32_t last_whole_ = 0;         // of the last merge
  std::vector<uint32_t> rank_of_;  // sentencepiece: of a piece by id
  Vocab raw_;                      // ignore_merges with byte level: the pieces as bytes
  std::array<int32_t, 256> byte_id_;
  // Characters: words are cut where no merge can reach over, so that the word table and the short loop serve them.
  // Indices are the last byte of the text before and the first byte of the text behind, kSpaceCode for U+2581.
  bool cut_ = false;
  std::array<std::bitset<256>, 256> joins_;
  std::bitset<256> solid_;  // characters that are pieces: a run of unknown ones must stay together
};

// ByteLevel spells each byte as one code point; -1: not such a code point.
const std::array<uint16_t, 256>& byte_level_alphabet();
int byte_of_alphabet(uint32_t cp);
// The bytes that a piece spells, appended; false (and nothing appended) when some code point is not of the alphabet.
bool append_alphabet_bytes(std::string& out, std::string_view piece);

}  // namespace miao::prep

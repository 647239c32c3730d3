// SentencePiece's model files (tokenizer.model, spiece.model, source.spm): one protobuf message, read by its wire
// format.
//
//   ModelProto       1 pieces (many)   2 trainer_spec   3 normalizer_spec   others are skipped
//   SentencePiece    1 piece   2 score (float)   3 type
//   TrainerSpec      3 model_type   24 treat_whitespace_as_suffix   35 byte_fallback   40-43 ids of unk, bos, eos, pad
//   NormalizerSpec   2 precompiled_charsmap   3 add_dummy_prefix   4 remove_extra_whitespaces   5 escape_whitespaces
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::prep {

struct SpmFile {
  enum class Algorithm { unigram = 1, bpe = 2 };
  enum class Type : uint8_t { normal = 1, unknown, control, user_defined, unused, byte };
  struct Piece {
    std::string_view text;  // not empty, valid UTF-8; points into what was parsed
    float score = 0;        // finite
    Type type = Type::normal;
  };

  std::vector<Piece> pieces;
  Algorithm algorithm = Algorithm::unigram;
  bool byte_fallback = false;
  bool whitespace_suffix = false;      // words end with U+2581 instead of beginning with it
  int32_t unk = -1;                    // the one piece of that type
  int32_t bos = 1, eos = 2, pad = -1;  // as the file says; perhaps no piece
  std::string_view charsmap;
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;

  int32_t size() const { return static_cast<int32_t>(pieces.size()); }
  bool is_control(int32_t id) const {
    return id >= 0 && id < size() && pieces[static_cast<size_t>(id)].type == Type::control;
  }
};

// corrupt: bytes that are no such message, or contradict themselves; unsupported: a model of words or characters.
Result<SpmFile> parse_spm(std::string_view bytes);

}  // namespace miao::prep

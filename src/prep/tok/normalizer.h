// Normalizers: a list of steps that rewrite text before it is cut into words.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "prep/tok/charsmap.h"
#include "prep/tok/scanners.h"
#include "prep/tok/spm_normalizer.h"
#include "prep/tok/trace.h"

namespace miao::prep {

struct NormalizerStep {
  enum class Kind {
    nfc,
    nfd,
    nfkc,
    nfkd,
    lowercase,
    strip,          // `left`, `right`: whitespace at the ends
    strip_accents,  // combining marks go
    replace,        // `a` (or the matches of `scanner`) to `b`
    prepend,        // `a` before text that is not empty
    bert,           // clean_text, chinese, accents, lower
    nmt,            // SentencePiece's own rules for control characters
    charsmap,       // a precompiled SentencePiece map
    squeeze,        // SentencePiece's remove_extra_whitespaces: spaces at the ends go, runs become one
    sentencepiece,  // all that SentencePiece does, as its model's file says
  };
  Kind kind = Kind::replace;
  std::string a, b;
  Scanner scanner = nullptr;
  bool left = false, right = false;
  bool clean_text = false, chinese = false, accents = false, lower = false;
  std::shared_ptr<const Charsmap> map;
  std::shared_ptr<const SpmNormalizer> spm;
};

class Normalizer {
 public:
  std::vector<NormalizerStep> steps;
  // The normalized text: `source` itself when there is nothing to do, otherwise inside `buffer`. invalid: it would have
  // more than `most` bytes.
  Result<Source> run(const Source& source, size_t most, Text& buffer) const;
};

}  // namespace miao::prep

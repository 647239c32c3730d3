// Pre-tokenizers: a list of steps, each of which cuts (and sometimes rewrites) the stretches of the step before it.
//
// Stretches are handed on one at a time, depth first, so nothing is collected and each step needs one scratch string:
//   text -> step 0 -> stretch -> step 1 -> ... -> Model::encode(stretch)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "prep/tok/model.h"
#include "prep/tok/scanners.h"

namespace miao::prep {

enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };
enum class Prepend { never, first, always };

struct PreStep {
  enum class Kind {
    split,        // by `scanner`, or by the text `pattern` when there is no scanner
    characters,   // every code point with one of `flags` is a match
    delimiter,    // every code point equal to `pattern`
    metaspace,    // ' ' -> pattern, prefix by `prepend`, then cut before each pattern when `cut`
    prefix,       // a leading ' ' unless there is one (ByteLevel's add_prefix_space)
    byte_digits,  // Digits behind ByteLevel, where the text is bytes spelled as characters
  };
  Kind kind = Kind::split;
  Scanner scanner = nullptr;
  std::string pattern;
  uint32_t flags = 0;
  Behavior behavior = Behavior::isolated;
  bool invert = false;
  bool cut = true;
  Prepend prepend = Prepend::never;

  bool operator==(const PreStep&) const = default;
};

class PreTokenizer {
 public:
  static constexpr size_t kMaxSteps = 16;  // also bounds the depth of run()

  std::vector<PreStep> steps;

  struct Scratch {
    Text text[kMaxSteps];
  };
  // `origin`: the text is the beginning of the input (for Prepend::first).
  void run(const Source& text, bool origin, const Model& model, Scratch& scratch, Pieces& out) const {
    if (!text.text.empty()) step(0, text, origin, model, scratch, out);
  }

 private:
  void step(size_t at, Source source, bool origin, const Model& model, Scratch& scratch, Pieces& out) const;
  template <class Next>
  void cut(const PreStep& s, std::string_view text, Next&& emit) const;
};

}  // namespace miao::prep

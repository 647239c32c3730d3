#include "runtime/token_rules.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

namespace miao::runtime {

namespace {

using Tokens = std::span<const int32_t>;
using Scores = std::span<float>;

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

void forbid(Scores scores, int32_t token) {
  if (token >= 0 && static_cast<size_t>(token) < scores.size()) scores[static_cast<size_t>(token)] = kForbidden;
}
void forbid(Scores scores, const std::vector<int32_t>& tokens) {
  for (const int32_t token : tokens) forbid(scores, token);
}
void force(Scores scores, int32_t token) {
  if (token < 0 || static_cast<size_t>(token) >= scores.size()) return;
  std::fill(scores.begin(), scores.end(), kForbidden);
  scores[static_cast<size_t>(token)] = 0;
}

void penalise(Tokens tokens, float penalty, Scores scores) {
  std::unordered_set<int32_t> seen;
  for (const int32_t token : tokens) {
    if (token < 0 || static_cast<size_t>(token) >= scores.size() || !seen.insert(token).second) continue;
    float& score = scores[static_cast<size_t>(token)];
    score = score < 0 ? score * penalty : score / penalty;
  }
}

// What followed before on the last n - 1 tokens does not follow again.
void forbid_repeats(Tokens tokens, size_t n, Scores scores) {
  if (tokens.size() + 1 < n) return;
  const Tokens tail = tokens.last(n - 1);
  for (size_t i = 0; i + n <= tokens.size(); ++i) {
    if (std::equal(tail.begin(), tail.end(), tokens.begin() + static_cast<std::ptrdiff_t>(i))) {
      forbid(scores, tokens[i + n - 1]);
    }
  }
}

void forbid_word(Tokens tokens, const std::vector<int32_t>& word, Scores scores) {
  if (word.empty() || tokens.size() + 1 < word.size()) return;
  const Tokens tail = tokens.last(word.size() - 1);
  if (std::equal(tail.begin(), tail.end(), word.begin())) forbid(scores, word.back());
}

}  // namespace

std::vector<TokenRule> token_rules(const TokenRuleOptions& o) {
  std::vector<TokenRule> out;
  if (o.repetition_penalty != 1) {
    out.push_back([penalty = static_cast<float>(o.repetition_penalty)](Tokens tokens, size_t, Scores scores) {
      penalise(tokens, penalty, scores);
    });
  }
  if (o.no_repeat_ngram > 0) {
    out.push_back([n = static_cast<size_t>(o.no_repeat_ngram)](Tokens tokens, size_t, Scores scores) {
      forbid_repeats(tokens, n, scores);
    });
  }
  if (!o.bad_words.empty()) {
    out.push_back([words = o.bad_words](Tokens tokens, size_t, Scores scores) {
      for (const auto& word : words) forbid_word(tokens, word, scores);
    });
  }
  if (o.min_tokens > 0) {
    out.push_back([ends = o.ends, least = o.min_tokens](Tokens tokens, size_t prefix, Scores scores) {
      if (static_cast<int64_t>(tokens.size() - prefix) < least) forbid(scores, ends);
    });
  }
  if (o.first >= 0) {
    out.push_back([token = o.first](Tokens tokens, size_t prefix, Scores scores) {
      if (tokens.size() == prefix) force(scores, token);
    });
  }
  if (o.last >= 0) {
    out.push_back([token = o.last, most = o.max_tokens](Tokens tokens, size_t prefix, Scores scores) {
      if (static_cast<int64_t>(tokens.size() - prefix) == most - 1) force(scores, token);
    });
  }
  if (!o.suppressed.empty()) {
    out.push_back([tokens = o.suppressed](Tokens, size_t, Scores scores) { forbid(scores, tokens); });
  }
  if (!o.suppressed_first.empty()) {
    out.push_back([first = o.suppressed_first](Tokens tokens, size_t prefix, Scores scores) {
      if (tokens.size() == prefix) forbid(scores, first);
    });
  }
  return out;
}

}  // namespace miao::runtime

#include "runtime/batch.h"

namespace miao::runtime {

Result<Verified> verify(Engine& engine, Sequence& sequence, int32_t last, std::span<const int32_t> draft,
                        const Choose& choose) {
  const int64_t start = sequence.size();
  std::vector<int32_t> tokens{last};
  tokens.insert(tokens.end(), draft.begin(), draft.end());
  MIAO_TRY(Logits logits, engine.forward(sequence, tokens, Want::all));
  Verified out;
  for (size_t i = 0;; ++i) {
    out.next = choose(logits.row(static_cast<int64_t>(i)));
    if (i == draft.size() || out.next != draft[i]) break;
    ++out.accepted;
  }
  sequence.truncate(start + 1 + out.accepted);
  return out;
}

}  // namespace miao::runtime

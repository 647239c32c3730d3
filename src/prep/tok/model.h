// The model of a tokenizer: one word (a stretch that the pre-tokenizer cut) to ids.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace miao::prep {

using Ids = std::vector<int32_t>;

class Model {
 public:
  virtual ~Model() = default;
  // Appends the ids of `word`, which is valid UTF-8 and not empty. Safe to call from many threads.
  virtual void encode(std::string_view word, Ids& out) const = 0;
  virtual std::string_view kind() const = 0;
};

}  // namespace miao::prep

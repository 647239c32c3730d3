// Index: documents that can be searched by meaning, what Model.index returns.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "python/model.h"
#include "search/index.h"

namespace miao::python {

class Index {
 public:
  Index(Model model, search::Index index) : model_(std::move(model)), index_(std::move(index)) {}

  // The hits of each query. `prompt`: put before them; none = the model's.
  std::vector<std::vector<search::Found>> search(const std::vector<std::string>& queries, size_t top, bool exact,
                                                 const std::optional<std::string>& prompt) const;
  const search::Index& index() const { return index_; }

 private:
  Model model_;
  search::Index index_;
};

}  // namespace miao::python

// Index: documents that can be searched by meaning. Each is split into passages that the model reads at once, and each
// passage has a vector, kept in a file so that it is computed once.
//
//   MIAO_TRY(auto sources, read_sources(paths));
//   MIAO_TRY(Index index, Index::open(*encoder, std::move(sources), {.file = "notes.miaoindex"}));
//   MIAO_TRY(std::vector<float> vectors, embed(*encoder, queries, {.prompt = query_prompt(*encoder)}));
//   MIAO_TRY(std::vector<Found> found, index.find(vectors, 10, Method::approximate));
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/encoder.h"
#include "search/documents.h"
#include "search/update.h"
#include "search/vectors.h"

namespace miao::search {

struct Found {
  float score;  // cosine of query and passage
  std::string source;
  uint32_t line;             // on which the passage begins
  std::string text, fields;  // fields: the others of a JSON line, as JSON; may be empty
};

// The prompts that sentence-transformers uses for the two sides: those with the names query, and document, passage or
// corpus; else the model's default. Empty where there are none.
std::string query_prompt(const runtime::Encoder& encoder);
std::string document_prompt(const runtime::Encoder& encoder);
// unsupported, in words for the user, where a model gives no vectors of texts.
Result<void> require_embeddings(const runtime::Encoder& encoder);

class Index {
 public:
  // Takes from the file what is there of these documents, embeds the rest, and saves. A file that is damaged is told
  // as a warning and made anew; so is one that cannot be written. Errors: invalid where the file is no index or was
  // made with another model, so that nothing of the user's is overwritten; for documents without text, or wrong in
  // the ways of text_of(); cancelled, after what has been embedded was saved; out_of_memory.
  static Result<Index> open(runtime::Encoder& encoder, std::vector<Source> sources, const IndexOptions& options);
  // What the vectors depend on, as a name: the model with its settings, and the prompt.
  static Result<std::string> key(runtime::Encoder& encoder, const std::optional<std::string>& prompt = {});
  Index(Index&&) noexcept;
  Index& operator=(Index&&) noexcept;
  ~Index();

  const IndexReport& report() const;
  bool approximate() const;  // what Method::approximate will be
  // The best passages, at most one of each document.
  Result<std::vector<Found>> find(std::span<const float> query, size_t count, Method method) const;

 private:
  struct State;
  explicit Index(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace miao::search

// A tokenizer in the making out of a SentencePiece model: pieces by id, then the tokens that are cut out of the text.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "prep/tok/data.h"
#include "prep/tok/hf_config.h"
#include "prep/tok/spm_model.h"

namespace miao::prep {

class SpmBuilder {
 public:
  explicit SpmBuilder(const HfConfig& config) : config_(config) {}

  // Pieces: one by one, all of a file, or those of a vocab.json by its ids. close() ends them.
  void add_piece(std::string_view text) { pieces_.emplace_back(text); }
  void add_pieces(const SpmFile& file);
  Result<void> add_vocab(std::string_view json);
  Result<void> close();

  // The model, normalizer and decoder of a file. `trim`: decoded text loses the blanks at both ends.
  Result<void> use(const SpmFile& file, SpmIds ids, bool trim);

  // A token that is cut out, with the id it has, or else with `id` or the next free one. Who names a token first
  // decides how it is searched.
  Result<int32_t> cut_out(AddedToken token, std::optional<int32_t> id = {});
  Result<int32_t> control(std::string_view text) { return cut_out({.content = std::string(text), .special = true}); }
  // Control token of a role. `fallback` empty: there is none unless the configuration names it.
  Result<std::optional<int32_t>> role(std::string_view name, std::string_view fallback);
  // What the configuration lists with ids, and what it lists without, which gets the next ones.
  Result<void> configured();
  Result<void> additional();

  Result<std::shared_ptr<const TokenizerData>> finish();

  int32_t size() const { return static_cast<int32_t>(pieces_.size()); }  // pieces
  int32_t find(std::string_view text) const { return data_->find(text); }
  const HfConfig& config() const { return config_; }
  TokenizerData& data() { return *data_; }

 private:
  Result<void> append(const AddedToken& token);

  const HfConfig& config_;
  std::shared_ptr<TokenizerData> data_ = std::make_shared<TokenizerData>();
  std::vector<std::string> pieces_;
  std::vector<AddedToken> added_;
  Vocab cut_;  // their texts
};

}  // namespace miao::prep

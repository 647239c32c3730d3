// --explain of models that write: how likely the model found each token of its answer, and what it would rather have
// written. On a terminal the text in colours and a table of its tokens; a page; or JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "prep/tokenizer.h"
#include "runtime/likelihood.h"

namespace miao::cli {

struct Explain {
  bool wanted = false;
  std::string file;  // HTML; empty: standard output
};

using Likelihoods = std::vector<runtime::TokenLikelihood>;
constexpr int64_t kExplainBest = 4;  // choices of each token

nlohmann::ordered_json likelihood_json(const prep::Tokenizer& tokenizer, const Likelihoods& tokens);
std::string likelihood_text(const prep::Tokenizer& tokenizer, const Likelihoods& tokens);  // lines
std::string likelihood_html(const prep::Tokenizer& tokenizer, const Likelihoods& tokens, const std::string& title);
Result<void> write_likelihood_page(const std::string& file, const std::string& model, const std::string& body);

}  // namespace miao::cli

// The tokenizers that older Hugging Face directories keep as SentencePiece models.
//
//   T5                  ids of the file, <extra_id_N> behind them, <extra_id_0> last
//   Llama, Gemma        ids of the file
//   XLM-R, mBART, NLLB  <s> <pad> </s> <unk>, the file's pieces from the fourth on, languages, <mask>
//   M2M-100             ids of vocab.json, languages behind them
//   Marian              ids of vocab.json, or of one vocabulary a side; languages are ">>fra<<" before the text
//
// Ids are those of transformers' tokenizers over the SentencePiece library: control tokens are cut out, and each
// stretch between them is a text of its own.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "prep/tok/data.h"
#include "prep/tok/hf_config.h"
#include "prep/tok/spm_file.h"

namespace miao::prep {

using TokenizerPtr = std::shared_ptr<const TokenizerData>;

Result<TokenizerPtr> spm_plain(const SpmFile& file);  // control pieces are control tokens; nothing around a text
Result<TokenizerPtr> spm_t5(const SpmFile& file, const HfConfig& config);
Result<TokenizerPtr> spm_llama(SpmFile file, const HfConfig& config);
Result<TokenizerPtr> spm_fairseq(const SpmFile& file, const HfConfig& config);  // by config.tokenizer_class
Result<TokenizerPtr> spm_m2m(const SpmFile& file, std::string_view vocab, const HfConfig& config);
// One side of a Marian model; `name`: the vocabulary's file. `target`: the side that it writes; null: this is that one.
Result<TokenizerPtr> spm_marian_side(const SpmFile& file, std::string_view vocab, const char* name,
                                     const HfConfig& config, TokenizerPtr target);

// The languages of a tokenizer.json of mBART, mBART-50 or NLLB, by the tokens that it has; any other has none.
Result<void> find_languages(TokenizerData& data, const ReadFile& read);

}  // namespace miao::prep

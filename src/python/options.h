// Keyword arguments that generate(), chat() and translate() share: what they are called, their range, which kinds of
// models know them, and where they go.
#pragma once

#include "python/errors.h"
#include "python/session.h"

// For the signatures of both.
#define MIAO_SAMPLING_ARGUMENTS                                                                                  \
  "max_tokens: int = -1, temperature: float | None = None, top_k: int | None = None, top_p: float | None = "     \
  "None, min_p: float | None = None, repetition_penalty: float | None = None, presence_penalty: float | None "   \
  "= None, frequency_penalty: float | None = None, penalty_last_n: int | None = None, seed: int | None = None, " \
  "greedy: bool = False, stop: str | collections.abc.Sequence[str] | None = None, "                              \
  "logit_bias: collections.abc.Mapping[int, float] | None = None, ignore_end: bool = False"

#define MIAO_SAMPLING_DOC                                                                                         \
  "Sampling settings that are None are those that the model's files name, else temperature 0.8, top_k 40, top_p " \
  "0.95, min_p 0.05, as in the program miao:\n"                                                                   \
  "max_tokens: tokens of the answer at most; -1 = until the model ends it or the context is full.\n"              \
  "temperature: 0 takes the likeliest token; greedy=True says the same.\n"                                        \
  "top_k, top_p, min_p: only the k likeliest tokens (0 = all); only the likeliest that together reach the "       \
  "probability top_p; only those with at least min_p times the largest probability.\n"                            \
  "repetition_penalty divides positive logits of tokens seen, presence_penalty is taken off them, "               \
  "frequency_penalty once for each time; all look back at penalty_last_n tokens (-1 = all).\n"                    \
  "seed: the same one gives the same answer; None = another one each time (Completion.seed has it).\n"            \
  "stop: texts that end the answer and are not part of it.\n"                                                     \
  "logit_bias: added to the logits of token ids; -inf bans a token.\n"                                            \
  "ignore_end: goes on behind the model's end token."

#define MIAO_SEARCH_ARGUMENTS                                                                                     \
  "max_tokens: int = -1, beams: int | None = None, best: int = 1, length_penalty: float | None = None, prefix: "  \
  "str = '', truncate: bool = False, repetition_penalty: float | None = None, temperature: float | None = None, " \
  "top_k: int | None = None, top_p: float | None = None, min_p: float | None = None, seed: int | None = None, "   \
  "greedy: bool = False"
// Those of them that MIAO_SAMPLING_ARGUMENTS has not.
#define MIAO_SEARCH_ARGUMENTS_ALONE                                                                            \
  "beams: int | None = None, best: int = 1, length_penalty: float | None = None, prefix: str = '', truncate: " \
  "bool = False"

#define MIAO_SEARCH_DOC                                                                                                \
  "Encoder-decoders search for the likeliest text as their files ask for, unless a temperature over 0 has it drawn:\n" \
  "beams: hypotheses that are followed at once; 1 = greedy.\n"                                                         \
  "best: so many texts come back: the Completion is the likeliest, its alternatives are the others.\n"                 \
  "length_penalty: scores are log-probabilities / tokens ** length_penalty; more favours long texts.\n"                \
  "prefix: what every text begins with; not part of what comes back.\n"                                                \
  "truncate: an input that is too long loses its end; else it is miao.Invalid.\n"                                      \
  "Inputs of a list are computed together, and none changes another's result."

namespace miao::python {

// Of decoders and of encoder-decoders. They raise TypeError for an argument that is unknown or of another type,
// miao.Invalid for a value out of range, miao.Unsupported for an argument of other kinds of models; what depends on the
// model is checked when the work begins.
runtime::GenerateOptions generate_options(const nb::kwargs& arguments, const Session& session);
runtime::Seq2SeqOptions search_options(const nb::kwargs& arguments, const Session& session);

}  // namespace miao::python

#include "cli/seq2seq/search_flags.h"

#include <algorithm>

namespace miao::cli {

void SearchFlags::apply(runtime::BeamOptions& options) const {
  options.best = best;
  options.beams = std::max(beams.value_or(options.beams), beams ? 1 : best);
  options.length_penalty = length_penalty.value_or(options.length_penalty);
}

void add_search_flags(CLI::App& app, SearchFlags& flags) {
  constexpr const char* kGroup = "Search (encoder-decoders)";
  app.add_option("--beams", flags.beams, "Hypotheses that are followed at once; 1 = greedy")
      ->check(CLI::Range(1, 256))
      ->group(kGroup);
  app.add_option("--best", flags.best, "Answers to a text, with their scores, best first")
      ->check(CLI::Range(1, 256))
      ->group(kGroup);
  app.add_option("--length-penalty", flags.length_penalty, "Scores are log-probabilities / length^X: more favours long")
      ->check(CLI::Range(-100.0, 100.0))
      ->group(kGroup);
  app.add_option("--prefix", flags.prefix, "What every answer begins with")->group(kGroup);
  app.add_option("--source", flags.source, "Language of the texts, as the model spells it (fr, fr_XX, fra_Latn)")
      ->type_name("LANGUAGE")
      ->group(kGroup);
  app.add_option("--target", flags.target, "Language to translate to")->type_name("LANGUAGE")->group(kGroup);
}

}  // namespace miao::cli

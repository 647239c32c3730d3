#include "cli/chat/likelihood.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>

#include "base/file.h"
#include "base/json.h"
#include "cli/terminal.h"
#include "measure/chart.h"
#include "measure/page.h"

namespace miao::cli {

namespace {

constexpr const char* kMethod = "probabilities are the model's own, without temperature, rules and penalties";

// What each token adds to the text: nothing, until a letter is complete.
std::vector<std::string> pieces_of(const prep::Tokenizer& tokenizer, const Likelihoods& tokens) {
  prep::StreamDecoder stream(tokenizer, false);
  std::vector<std::string> out;
  for (const auto& t : tokens) out.push_back(stream.push(t.own.token));
  if (!out.empty()) out.back() += stream.flush();
  return out;
}

std::string piece_of(const prep::Tokenizer& tokenizer, int32_t token) {
  return tokenizer.decode(std::span(&token, 1), false);
}

std::string percent(float log_probability) { return fmt::format("{:.1f} %", 100 * std::exp(double{log_probability})); }

// The likeliest other tokens.
std::string others(const prep::Tokenizer& tokenizer, const runtime::TokenLikelihood& t) {
  std::string out;
  for (const auto& choice : t.best) {
    if (choice.token == t.own.token) continue;
    out += (out.empty() ? "" : ", ") + printable(piece_of(tokenizer, choice.token)) + ' ' +
           percent(choice.log_probability);
  }
  return out;
}

std::string summary(const Likelihoods& tokens) {
  double sum = 0;
  for (const auto& t : tokens) sum += double{t.own.log_probability};
  const double mean = tokens.empty() ? 0 : sum / static_cast<double>(tokens.size());
  return fmt::format("{} tokens, log-probability {:.2f}, {:.2f} a token (perplexity {:.2f})", tokens.size(), sum, mean,
                     std::exp(-mean));
}

}  // namespace

Json likelihood_json(const prep::Tokenizer& tokenizer, const Likelihoods& tokens) {
  const std::vector<std::string> pieces = pieces_of(tokenizer, tokens);
  Json out = Json::array();
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto& t = tokens[i];
    Json best = Json::array();
    for (const auto& choice : t.best) {
      best.push_back({{"token", choice.token},
                      {"text", piece_of(tokenizer, choice.token)},
                      {"log_probability", choice.log_probability}});
    }
    out.push_back({{"token", t.own.token},
                   {"text", pieces[i]},
                   {"log_probability", t.own.log_probability},
                   {"rank", t.rank + 1},
                   {"best", std::move(best)}});
  }
  return out;
}

std::string likelihood_text(const prep::Tokenizer& tokenizer, const Likelihoods& tokens) {
  const Style style(STDOUT_FILENO);
  const std::vector<std::string> pieces = pieces_of(tokenizer, tokens);
  std::string coloured;
  Table table({{"P", true}, {"RANK", true}, {"TOKEN"}, {"INSTEAD"}});
  for (size_t i = 0; i < tokens.size(); ++i) {
    const float p = std::exp(tokens[i].own.log_probability);
    const std::string piece = printable(pieces[i]);
    // Backgrounds of the cube of 256 colours: the redder, the less likely.
    const char* const colour = p < 0.01f ? "48;5;124;97" : p < 0.1f ? "48;5;88;97" : p < 0.5f ? "48;5;52;97" : nullptr;
    coloured += colour ? style.paint(colour, piece) : piece;
    table.add({percent(tokens[i].own.log_probability), std::to_string(tokens[i].rank + 1), piece,
               others(tokenizer, tokens[i])});
  }
  std::string out = summary(tokens) + "; " + kMethod + '\n';
  if (style.on) out += coloured + '\n';
  return tokens.empty() ? out : out + table.str();
}

std::string likelihood_html(const prep::Tokenizer& tokenizer, const Likelihoods& tokens, const std::string& title) {
  const std::vector<std::string> pieces = pieces_of(tokenizer, tokens);
  std::string out = "<h2>" + measure::escape_html(title) + "</h2>\n<p>" + measure::escape_html(summary(tokens)) +
                    "</p>\n<p style=\"white-space:pre-wrap\">";
  for (size_t i = 0; i < tokens.size(); ++i) {
    const double p = std::exp(double{tokens[i].own.log_probability});
    out += fmt::format("<span style=\"border-radius:3px;background:rgba(205,50,50,{:.2f})\" title=\"{}\">{}</span>",
                       0.75 * (1 - p),
                       measure::escape_html(fmt::format("{}, rank {}; {}", percent(tokens[i].own.log_probability),
                                                        tokens[i].rank + 1, others(tokenizer, tokens[i]))),
                       measure::escape_html(pieces[i]));
  }
  return out + "</p>\n";
}

Result<void> write_likelihood_page(const std::string& file, const std::string& model, const std::string& body) {
  const std::string head = "<h1>" + measure::escape_html(model) + "</h1>\n<p class=\"muted\">The redder a token, the " +
                           "less likely the model found it; hold the pointer over it for its probability, its rank " +
                           "and what the model would rather have written. P" + (kMethod + 1) + ".</p>\n";
  return write_file_atomic(file, measure::page("How likely " + model + " found its answer", head + body));
}

}  // namespace miao::cli

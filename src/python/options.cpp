#include "python/options.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <random>

#include "python/convert.h"
#include "python/model.h"

namespace miao::python {

namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

float to_float(nb::handle object, const char* name) { return static_cast<float>(to_number(object, name)); }

double to_power(nb::handle object, const char* name) {
  const double power = to_number(object, name);
  if (std::fabs(power) <= 100) return power;
  raise({Code::invalid, "must lie in -100 .. 100", name});
}

std::vector<std::string> one_or_more(nb::handle object, const char* name) {
  if (PyUnicode_Check(object.ptr())) return {to_text(object, name)};
  return to_texts(object, name);
}

std::vector<runtime::SamplerOptions::Bias> to_bias(nb::handle object, const char* name) {
  if (!PyDict_Check(object.ptr())) raise_type_error(std::string(name) + " must be a dict of token ids and numbers");
  std::vector<runtime::SamplerOptions::Bias> out;
  for (const auto& [id, number] : nb::borrow<nb::dict>(object)) {
    out.push_back({static_cast<int32_t>(to_integer(id, name, 0, INT32_MAX)), to_float(number, name)});
  }
  // A dict remembers who came first, which must not change a sum of floats.
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.token < b.token; });
  return out;
}

// What the arguments say; each kind of model reads its part.
struct Said {
  runtime::GenerateOptions generate;
  runtime::Seq2SeqOptions search;
  std::optional<int64_t> beams;
};

struct Argument {
  const char* name;
  unsigned kinds;
  void (*set)(nb::handle value, const char* name, Said& out);
};

constexpr unsigned kBoth = kDecoder | kTextToText;
constexpr int64_t kMostBeams = 256;
constexpr Argument kArguments[] = {
    {"max_tokens", kBoth,
     [](nb::handle v, const char* n, Said& o) {
       o.generate.max_tokens = to_integer(v, n, -1, kMost);
       if (o.generate.max_tokens >= 0) o.search.beam.max_tokens = o.generate.max_tokens;
     }},
    {"temperature", kBoth,
     [](nb::handle v, const char* n, Said& o) { o.generate.sampling.temperature = to_float(v, n); }},
    {"top_k", kBoth,
     [](nb::handle v, const char* n, Said& o) { o.generate.sampling.top_k = to_integer(v, n, 0, kMost); }},
    {"top_p", kBoth, [](nb::handle v, const char* n, Said& o) { o.generate.sampling.top_p = to_float(v, n); }},
    {"min_p", kBoth, [](nb::handle v, const char* n, Said& o) { o.generate.sampling.min_p = to_float(v, n); }},
    {"repetition_penalty", kBoth,
     [](nb::handle v, const char* n, Said& o) {
       o.generate.sampling.repeat_penalty = to_float(v, n);
       o.search.rules.repetition_penalty = to_number(v, n);
     }},
    {"presence_penalty", kDecoder,
     [](nb::handle v, const char* n, Said& o) { o.generate.sampling.presence_penalty = to_float(v, n); }},
    {"frequency_penalty", kDecoder,
     [](nb::handle v, const char* n, Said& o) { o.generate.sampling.frequency_penalty = to_float(v, n); }},
    {"penalty_last_n", kDecoder,
     [](nb::handle v, const char* n, Said& o) { o.generate.sampling.penalty_last_n = to_integer(v, n, -1, kMost); }},
    {"seed", kBoth, [](nb::handle v, const char* n, Said& o) { o.generate.sampling.seed = to_seed(v, n); }},
    {"greedy", kBoth,
     [](nb::handle v, const char* n, Said& o) {
       if (to_bool(v, n)) o.generate.sampling.temperature = 0;
     }},
    {"stop", kDecoder, [](nb::handle v, const char* n, Said& o) { o.generate.stop = one_or_more(v, n); }},
    {"logit_bias", kDecoder,
     [](nb::handle v, const char* n, Said& o) { o.generate.sampling.logit_bias = to_bias(v, n); }},
    {"ignore_end", kDecoder, [](nb::handle v, const char* n, Said& o) { o.generate.ignore_end = to_bool(v, n); }},
    {"beams", kTextToText, [](nb::handle v, const char* n, Said& o) { o.beams = to_integer(v, n, 1, kMostBeams); }},
    {"best", kTextToText,
     [](nb::handle v, const char* n, Said& o) { o.search.beam.best = to_integer(v, n, 1, kMostBeams); }},
    {"length_penalty", kTextToText,
     [](nb::handle v, const char* n, Said& o) { o.search.beam.length_penalty = to_power(v, n); }},
    {"prefix", kTextToText, [](nb::handle v, const char* n, Said& o) { o.search.prefix = to_text(v, n); }},
    {"truncate", kTextToText, [](nb::handle v, const char* n, Said& o) { o.search.truncate = to_bool(v, n); }},
};

bool given(const nb::kwargs& arguments, const char* name) {
  return arguments.contains(name) && !arguments[name].is_none();
}

void read(const nb::kwargs& arguments, Kind kind, Said& out) {
  if (given(arguments, "temperature") && given(arguments, "greedy") &&
      nb::object(arguments["greedy"]).is(nb::bool_(true))) {
    raise({Code::invalid, "excludes temperature: give one of them", "greedy"});
  }
  for (const auto& [key, value] : arguments) {
    const std::string name = to_text(key, "the name of an argument");
    const auto* const found = std::find_if(std::begin(kArguments), std::end(kArguments),
                                           [&](const Argument& argument) { return name == argument.name; });
    if (found == std::end(kArguments)) raise_type_error("got an unexpected keyword argument '" + name + "'");
    if (value.is_none()) continue;
    if (!(found->kinds & kind)) {
      raise({Code::unsupported, "is not an argument for " + std::string(kind_name(kind)) + "; leave it out", name});
    }
    found->set(value, found->name, out);
  }
}

}  // namespace

runtime::GenerateOptions generate_options(const nb::kwargs& arguments, const Session& session) {
  const runtime::GenerationDefaults defaults = value(session.defaults());
  Said said;
  said.generate.sampling = defaults.sampling;
  said.generate.stop_tokens = defaults.stop_tokens;
  read(arguments, kDecoder, said);
  return said.generate;
}

runtime::Seq2SeqOptions search_options(const nb::kwargs& arguments, const Session& session) {
  Said said;
  said.search = value(session.search());
  said.generate.sampling.temperature = 0;
  read(arguments, kTextToText, said);
  runtime::BeamOptions& beam = said.search.beam;
  if (const double penalty = said.search.rules.repetition_penalty; !(penalty > 0 && std::isfinite(penalty))) {
    raise({Code::invalid, "must be a number over 0", "repetition_penalty"});
  }
  const bool several = said.beams.value_or(1) > 1 || beam.best > 1;
  beam.beams = said.beams ? *said.beams : std::max(beam.beams, beam.best);
  runtime::SamplerOptions& sampling = said.generate.sampling;
  value(runtime::Sampler::create(sampling, session.vocab()));  // what is wrong with it, though it may not be used
  if (sampling.greedy()) return said.search;
  if (several) {
    raise({Code::invalid, "excludes beams and best: tokens are drawn, or the likeliest searched", "temperature"});
  }
  beam.beams = 1;
  sampling.repeat_penalty = 1;  // the rules have it
  if (!sampling.seed) sampling.seed = std::random_device()();
  beam.sampling = sampling;
  return said.search;
}

}  // namespace miao::python

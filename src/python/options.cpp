#include "python/options.h"

#include <algorithm>
#include <limits>

#include "python/convert.h"

namespace miao::python {

namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

float to_float(nb::handle object, const char* name) { return static_cast<float>(to_number(object, name)); }

bool to_bool(nb::handle object, const char* name) {
  if (!PyBool_Check(object.ptr())) raise_type_error(std::string(name) + " must be True or False");
  return object.ptr() == Py_True;
}

std::vector<std::string> to_texts(nb::handle object, const char* name) {
  if (PyUnicode_Check(object.ptr())) return {to_text(object, name)};
  std::vector<std::string> out;
  for (const nb::handle text : object) out.push_back(to_text(text, name));
  return out;
}

uint64_t to_seed(nb::handle object, const char* name) {
  const uint64_t seed = PyLong_Check(object.ptr()) ? PyLong_AsUnsignedLongLong(object.ptr())
                                                   : static_cast<uint64_t>(to_integer(object, name, 0, kMost));
  if (!PyErr_Occurred()) return seed;
  PyErr_Clear();
  raise({Code::invalid, "must lie in 0 .. 2^64 - 1", name});
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

struct Argument {
  const char* name;
  void (*set)(nb::handle value, const char* name, runtime::GenerateOptions& out);
};

using Options = runtime::GenerateOptions;
constexpr Argument kArguments[] = {
    {"max_tokens", [](nb::handle v, const char* n, Options& o) { o.max_tokens = to_integer(v, n, -1, kMost); }},
    {"temperature", [](nb::handle v, const char* n, Options& o) { o.sampling.temperature = to_float(v, n); }},
    {"top_k", [](nb::handle v, const char* n, Options& o) { o.sampling.top_k = to_integer(v, n, 0, kMost); }},
    {"top_p", [](nb::handle v, const char* n, Options& o) { o.sampling.top_p = to_float(v, n); }},
    {"min_p", [](nb::handle v, const char* n, Options& o) { o.sampling.min_p = to_float(v, n); }},
    {"repetition_penalty", [](nb::handle v, const char* n, Options& o) { o.sampling.repeat_penalty = to_float(v, n); }},
    {"presence_penalty", [](nb::handle v, const char* n, Options& o) { o.sampling.presence_penalty = to_float(v, n); }},
    {"frequency_penalty",
     [](nb::handle v, const char* n, Options& o) { o.sampling.frequency_penalty = to_float(v, n); }},
    {"penalty_last_n",
     [](nb::handle v, const char* n, Options& o) { o.sampling.penalty_last_n = to_integer(v, n, -1, kMost); }},
    {"seed", [](nb::handle v, const char* n, Options& o) { o.sampling.seed = to_seed(v, n); }},
    {"greedy",
     [](nb::handle v, const char* n, Options& o) {
       if (to_bool(v, n)) o.sampling.temperature = 0;
     }},
    {"stop", [](nb::handle v, const char* n, Options& o) { o.stop = to_texts(v, n); }},
    {"logit_bias", [](nb::handle v, const char* n, Options& o) { o.sampling.logit_bias = to_bias(v, n); }},
    {"ignore_end", [](nb::handle v, const char* n, Options& o) { o.ignore_end = to_bool(v, n); }},
};

bool given(const nb::kwargs& arguments, const char* name) {
  return arguments.contains(name) && !arguments[name].is_none();
}

}  // namespace

runtime::GenerateOptions generate_options(const nb::kwargs& arguments, const runtime::GenerationDefaults& defaults) {
  runtime::GenerateOptions out;
  out.sampling = defaults.sampling;
  out.stop_tokens = defaults.stop_tokens;
  if (given(arguments, "temperature") && given(arguments, "greedy") &&
      nb::object(arguments["greedy"]).is(nb::bool_(true))) {
    raise({Code::invalid, "excludes temperature: give one of them", "greedy"});
  }
  for (const auto& [key, value] : arguments) {
    const std::string name = to_text(key, "the name of an argument");
    const auto* const found = std::find_if(std::begin(kArguments), std::end(kArguments),
                                           [&](const Argument& argument) { return name == argument.name; });
    if (found == std::end(kArguments)) raise_type_error("got an unexpected keyword argument '" + name + "'");
    if (!value.is_none()) found->set(value, found->name, out);
  }
  return out;
}

}  // namespace miao::python

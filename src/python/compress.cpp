// miao.compress(): the search of `miao compress` with the same files and JSON, and a function of Python's as a figure
// of the user's own. python/miao/measuring.py makes objects of the JSON.
//
//   Python's thread    take a path -> evaluate(path) -> answer     take ...     <- result
//   the search's              ^ ask          wait           v ... goes on
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <condition_variable>
#include <mutex>

#include "base/json.h"
#include "base/log.h"
#include "compress/compress_report.h"
#include "compress/measurements.h"
#include "compress/rounding.h"
#include "io/hub.h"
#include "python/bind.h"
#include "python/convert.h"
#include "python/measure.h"
#include "python/model.h"

namespace miao::python {

namespace {

using namespace nb::literals;

// A question that the search's thread asks and Python's answers.
class Question {
 public:
  Result<double> ask(Task& task, const std::filesystem::path& file) {
    task.give(file.string());
    std::unique_lock lock(mutex_);
    while (!answer_) {
      answered_.wait_for(lock, std::chrono::milliseconds(20));
      if (*task.cancelled()) return Error{Code::cancelled, "stopped while a figure was computed", {}};
    }
    return *std::exchange(answer_, std::nullopt);
  }
  void answer(double figure) {
    const std::lock_guard lock(mutex_);
    answer_ = figure;
    answered_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable answered_;
  std::optional<double> answer_;
};

std::string optional_text(const nb::dict& from, const char* name) {
  const nb::object object = from[name];
  return object.is_none() ? std::string() : to_text(object, name);
}

compress::Budgets budgets_of(const nb::dict& from) {
  compress::Budgets out;
  out.losses = to_budgets(to_texts(from["max_loss"], "max_loss"));
  for (const measure::Budget& b : out.losses) {
    const bool counted = !from["choices"].is_none() || !from["labels"].is_none();
    value(compress::check_metric(b.metric, counted, !from["evaluate"].is_none()), "max_loss");
  }
  const auto limit = [&](const char* name, auto parse, std::optional<double>& to) {
    const std::string text = optional_text(from, name);
    if (!text.empty()) to = value(parse(text), name);
  };
  limit("min_speed", compress::parse_speed, out.speed);
  limit("max_memory", compress::parse_bytes, out.memory);
  limit("max_ttft", compress::parse_seconds, out.first);
  limit("max_token", compress::parse_seconds, out.step);
  limit("max_latency", compress::parse_seconds, out.request);
  const std::string size = optional_text(from, "max_size");
  if (!size.empty()) value(compress::parse_size(size, out), "max_size");
  if (!out.any())
    raise({Code::invalid, "there is no budget to keep; give max_loss, min_speed, max_size or another", "compress"});
  return out;
}

// "uniform:16:512", or a number of tokens for each input.
measure::LengthDistribution to_lengths(nb::handle given) {
  constexpr int64_t kMost = 1 << 20;
  if (nb::isinstance<nb::str>(given))
    return value(measure::LengthDistribution::parse(to_text(given, "lengths"), kMost), "lengths");
  std::vector<int64_t> lengths;
  for (const nb::handle one : nb::cast<nb::list>(given)) lengths.push_back(to_integer(one, "lengths", 1, kMost));
  return value(measure::LengthDistribution::of(std::move(lengths), kMost, "the given lengths"), "lengths");
}

compress::CompressOptions to_options(const nb::dict& from) {
  const auto whole = [&](const char* name, int64_t low, int64_t high) {
    return to_integer(from[name], name, low, high);
  };
  compress::CompressOptions out;
  out.budgets = budgets_of(from);
  if (!from["prompt"].is_none()) out.tokens = whole("prompt", 0, 1 << 20);
  out.request = {out.tokens.value_or(512), whole("gen", 0, 1 << 20), whole("batch", 1, 1024), {}};
  out.text = optional_text(from, "text");
  if (!out.text.empty()) out.text_name = to_text(from["text_name"], "text_name");
  out.final_text = optional_text(from, "final_text");
  if (!from["choices"].is_none()) {
    out.questions_name = to_text(from["choices_name"], "choices_name");
    out.questions = value(measure::parse_questions(to_text(from["choices"], "choices"), out.questions_name));
  }
  if (!from["pairs"].is_none()) {
    out.text_name = to_text(from["pairs_name"], "pairs_name");
    out.pairs = value(measure::parse_pairs(to_text(from["pairs"], "pairs"), out.text_name));
  }
  if (!from["labels"].is_none()) {
    out.text_name = to_text(from["labels_name"], "labels_name");
    out.labels = value(measure::parse_labelled(to_text(from["labels"], "labels"), out.text_name));
  }
  out.near = whole("near", 1, 1000);
  if (!from["lengths"].is_none()) out.lengths = to_lengths(from["lengths"]);
  for (const std::string& name : to_texts(from["types"], "types")) {
    const auto type = dtype_from_name(name);
    if (!type || !compress::can_encode(*type)) raise({Code::invalid, "'" + name + "' is no type of weights", "types"});
    out.types.push_back(*type);
  }
  for (const std::string& name : to_texts(from["kv"], "kv")) {
    const auto type = kernels::kv_from_name(name);
    if (!type) raise({Code::invalid, "'" + name + "' is no type of keys and values", "kv"});
    out.kv.push_back(*type);
  }
  const double level = to_number(from["level"], "level");
  if (!(level > 50 && level < 100)) raise({Code::invalid, "is not within 51 to 99.99", "level"});
  out.level = level / 100;
  out.tries = static_cast<int>(whole("tries", 1, 100));
  const std::string seconds = optional_text(from, "time_budget");
  if (!seconds.empty()) out.seconds = value(compress::parse_seconds(seconds), "time_budget");
  out.seed = to_seed(from["seed"], "seed");
  out.threads = static_cast<int>(whole("threads", 0, 1024));
  out.writer = std::string("miao ") + MIAO_VERSION;
  out.note = [](const std::string& line) { log_info(line); };
  return out;
}

std::optional<compress::Measurements> open_store(bool fresh) {
  if (fresh) return std::nullopt;
  auto store = compress::Measurements::open(measure::cache_folder() / "measurements.sqlite");
  if (store.ok()) return std::move(*store);
  log_warn(store.error().str() + "; nothing that is measured is kept for the next run");
  return std::nullopt;
}

nb::str run(nb::object model, nb::object out, const nb::dict& from, const std::string& date,
            const std::string& command) {
  const std::filesystem::path ref = to_path(model), folder = to_path(out);
  compress::CompressOptions options = to_options(from);
  const nb::object evaluate = from["evaluate"];
  if (!evaluate.is_none()) options.evaluate_name = to_text(from["evaluate_name"], "evaluate_name");
  options.evaluate_lower = to_bool(from["evaluate_lower"], "evaluate_lower");
  auto store = open_store(to_bool(from["fresh"], "fresh"));
  if (store) options.store = &*store;
  Question question;
  std::optional<Result<std::string>> json;
  Task work([&](Task& self) {
    options.cancel = self.cancelled();
    if (!options.evaluate_name.empty()) {
      options.evaluate = [&](const std::filesystem::path& file) { return question.ask(self, file); };
    }
    json.emplace([&]() -> Result<std::string> {
      MIAO_TRY(const std::filesystem::path path, io::resolve(ref.string(), {.cancel = options.cancel}));
      MIAO_TRY(const auto report, compress::compress(path, folder, options));
      const compress::ReportContext context{
          .version = MIAO_VERSION, .date = date, .command = command, .machine = measure::describe_machine()};
      MIAO_CHECK_OK(compress::write_reports(folder, report, context, options));
      return dump_json(to_json(report, context));
    }());
  });
  while (const auto file = work.take()) question.answer(to_number(evaluate(to_str(*file)), "what evaluate returned"));
  return to_str(value(std::move(*json)));
}

}  // namespace

void bind_compress(nb::module_& module) {
  module.def(
      "compress_model", run, "model"_a, "out"_a, "options"_a, "date"_a, "command"_a, "The JSON of miao.compress().",
      nb::sig("def compress_model(model: str | os.PathLike[str], out: str | os.PathLike[str], options: dict[str, "
              "typing.Any], date: str, command: str) -> str"));
}

}  // namespace miao::python

// miao.eval(): what `miao eval` measures of decoders and encoders, as the same JSON; python/miao/measuring.py makes
// objects of it.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <functional>

#include "base/clock.h"
#include "base/json.h"
#include "base/sha256.h"
#include "measure/quality_report.h"
#include "python/bind.h"
#include "python/convert.h"
#include "python/measure.h"
#include "python/model.h"

namespace miao::python {

namespace {

using namespace nb::literals;

constexpr int64_t kWindow = 512;
constexpr int64_t kOwnContext = 4096;  // that an engine takes unasked

// A model as the caller gave it: one that is loaded, or what is to be loaded.
struct Side {
  std::string name, dtype = "as loaded";
  std::shared_ptr<Session> session;
  std::filesystem::path ref;
  runtime::EngineOptions options;
};

Side to_side(nb::handle object, const std::string& dtype, nb::handle kv, int threads, int64_t window) {
  Side out;
  if (nb::isinstance<Model>(object)) {
    out.session = nb::cast<const Model&>(object).session();
    out.name = out.session->checkpoint().path().string();
    return out;
  }
  out.ref = to_path(object);
  out.name = out.ref.string();
  out.dtype = dtype;
  out.options.compute = compute_type(dtype);
  out.options.kv = kv_type(kv);
  out.options.threads = threads;
  out.options.ctx = window > kOwnContext ? window : 0;
  return out;
}

// What there is to measure, and whose it is.
struct What {
  const char* name;
  bool of_decoders;
};
constexpr What kWhats[] = {{"text", true}, {"choices", true}, {"texts", false}, {"pairs", false}, {"labels", false}};

Result<void> open(Side& side, const What& what, Cancel cancel) {
  if (!side.session) {
    side.options.cancel = cancel;
    MIAO_TRY(side.session, open_session(side.ref, side.options));
  }
  if (side.session->kind() & (what.of_decoders ? unsigned{kDecoder} : unsigned{kEncoder})) return {};
  return Error{
      Code::unsupported,
      "is " + std::string(kind_name(side.session->kind())) +
          (what.of_decoders ? "; text and choices are for decoders" : "; texts, pairs and labels are for encoders"),
      side.name};
}

// Both turns at once. All callers take them in one order, so that two never wait for each other.
template <class Work>
auto in_turns(Session& a, Session* b, Cancel cancel, Work work) {
  const auto alone = [&](Session&, Cancel) { return work(); };
  if (!b || b == &a) return in_turn(a, cancel, alone);
  Session& first = std::less<>()(&a, b) ? a : *b;
  Session& second = &first == &a ? *b : a;
  return in_turn(first, cancel, [&](Session&, Cancel) { return in_turn(second, cancel, alone); });
}

struct Job {
  Side model;
  std::optional<Side> base;
  What what = kWhats[0];
  std::string data;
  measure::TextCase window;
  int64_t near = 10;
  double level = 0.95;
  std::vector<measure::Budget> budgets;
  measure::QualityReport report;

  Result<void> measure(Cancel cancel) {
    MIAO_CHECK_OK(what.of_decoders ? of_decoders(cancel) : of_encoders(cancel));
    return judge(report.quality, budgets);
  }

  Result<void> of_decoders(Cancel cancel) {
    runtime::Engine& own = model.session->engine();
    runtime::Engine* const other = base ? &base->session->engine() : nullptr;
    name_subjects(own, other);
    if (what.name == std::string_view("text"))
      return take([&] { return measure::measure_text(own, other, data, window, {.stop = cancel}); });
    MIAO_TRY(const auto questions, measure::parse_questions(data, report.data.name));
    return take([&] { return measure::measure_choices(own, other, questions, {.stop = cancel}); });
  }

  Result<void> of_encoders(Cancel cancel) {
    const bool labels = what.name == std::string_view("labels");
    const models::Rows rows = labels ? models::Rows::head : models::Rows::sentence;
    MIAO_TRY(runtime::Encoder* const own, model.session->encoder(rows, cancel));
    runtime::Encoder* other = nullptr;
    if (base) {
      MIAO_TRY(other, base->session->encoder(rows, cancel));
    }
    name_subjects(*own, other);
    if (labels) {
      MIAO_TRY(const auto texts, measure::parse_labelled(data, report.data.name));
      return take([&] { return measure::measure_labels(*own, other, texts, {.stop = cancel}); });
    }
    if (what.name == std::string_view("pairs")) {
      MIAO_TRY(const auto pairs, measure::parse_pairs(data, report.data.name));
      return take([&] { return measure::measure_pairs(*own, other, pairs, {.stop = cancel}); });
    }
    MIAO_TRY(const auto texts, measure::parse_texts(data, report.data.name));
    return take([&] { return measure::measure_vectors(*own, *other, texts, near, {.stop = cancel}); });
  }

  template <class M>
  void name_subjects(M& own, M* other) {
    report.model = measure::subject_of(model.name, model.dtype, own);
    if (other) report.base = measure::subject_of(base->name, base->dtype, *other);
  }

  template <class Measure>
  Result<void> take(const Measure& measure) {
    const double start = now_seconds();
    MIAO_TRY(const auto records, measure());
    report.seconds = now_seconds() - start;
    report.quality = summarise(records, level);
    return {};
  }

  Result<std::string> run(Cancel cancel) {
    MIAO_CHECK_OK(open(model, what, cancel));
    if (base) MIAO_CHECK_OK(open(*base, what, cancel));
    report.machine = measure::describe_machine();
    MIAO_CHECK_OK(
        in_turns(*model.session, base ? base->session.get() : nullptr, cancel, [&] { return measure(cancel); }));
    return dump_json(to_json(report));
  }
};

nb::str evaluate(nb::object model, nb::object against, const std::string& task, nb::object data,
                 const std::string& data_name, nb::object ctx, nb::object chunks, nb::object near,
                 const std::vector<std::string>& max_loss, double level, const std::string& dtype, nb::object kv,
                 const std::string& base_dtype, nb::object base_kv, nb::object threads, const std::string& date,
                 const std::string& command) {
  Job job;
  const int64_t window = to_integer(ctx, "ctx", 0, int64_t{1} << 30);
  const int count = static_cast<int>(to_integer(threads, "threads", 0, 1024));
  job.window = {.ctx = window > 0 ? window : kWindow, .chunks = to_integer(chunks, "chunks", 0, int64_t{1} << 30)};
  job.near = to_integer(near, "near", 1, 1000);
  const auto* const what = std::ranges::find(kWhats, task, &What::name);
  if (what == std::end(kWhats)) raise({Code::invalid, "is nothing that is measured: '" + task + "'", "task"});
  job.what = *what;
  const int64_t asked = task == "text" ? job.window.ctx : window;
  job.model = to_side(model, dtype, kv, count, asked);
  if (!against.is_none()) job.base = to_side(against, base_dtype, base_kv, count, asked);
  if (!(level > 50 && level < 100)) raise({Code::invalid, "is not within 51 to 99.99", "level"});
  job.level = level / 100;
  job.budgets = to_budgets(max_loss);
  if (!job.budgets.empty() && !job.base)
    raise({Code::invalid, "a loss is against a base; name one with against", "max_loss"});
  if (task == "texts" && !job.base)
    raise({Code::invalid, "vectors are right or wrong beside those of a base; name one with against", "texts"});
  job.data = to_text(data, task);
  if (job.data.empty()) raise({Code::invalid, "is empty", task});
  job.report.version = MIAO_VERSION;
  job.report.date = date;
  job.report.command = command;
  job.report.data = {data_name, sha256_hex(job.data), static_cast<int64_t>(job.data.size())};
  std::optional<Result<std::string>> json;
  Task work([&](Task& self) { json.emplace(job.run(self.cancelled())); });
  work.wait();
  return to_str(value(std::move(*json)));
}

}  // namespace

std::vector<measure::Budget> to_budgets(const std::vector<std::string>& texts) {
  std::vector<measure::Budget> out;
  for (const std::string& text : texts) out.push_back(value(measure::parse_budget(text), "max_loss"));
  return out;
}

void bind_eval(nb::module_& module) {
  module.def(
      "evaluate_model", evaluate, "model"_a, "against"_a.none(), "task"_a, "data"_a, "data_name"_a, "ctx"_a, "chunks"_a,
      "near"_a, "max_loss"_a, "level"_a, "dtype"_a, "kv"_a.none(), "base_dtype"_a, "base_kv"_a.none(), "threads"_a,
      "date"_a, "command"_a, "The JSON of miao.eval().",
      nb::sig("def evaluate_model(model: str | os.PathLike[str] | Model, against: str | os.PathLike[str] | Model "
              "| None, task: typing.Literal['text', 'choices', 'texts', 'pairs', 'labels'], data: str, data_name: str, "
              "ctx: int, chunks: int, near: int, max_loss: collections.abc.Sequence[str], level: float, dtype: str, "
              "kv: str | None, base_dtype: "
              "str, base_kv: str | None, threads: int, date: str, command: str) -> str"));
}

}  // namespace miao::python

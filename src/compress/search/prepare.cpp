// What a search knows before it chooses: texts, importance, losses and times.
#include <algorithm>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "compress/measurements.h"
#include "compress/quantize.h"
#include "compress/round_tensor.h"
#include "compress/search/rendered.h"
#include "compress/search/search.h"
#include "io/checkpoint.h"
#include "measure/machine.h"
#include "measure/stats.h"

namespace miao::compress {

namespace {

// Of the gain of a mix: below a share of the base's time a measurement says nothing of it, and no more than so far off
// is the table ever.
constexpr double kTold = 0.1, kDoubt = 0.3;

Json names_of(std::span<const DType> types) {
  Json out = Json::array();
  for (const DType t : types) out.push_back(format(t).name);
  return out;
}

}  // namespace

std::string hash_of(const Items& items) {
  Hasher hasher;
  for (const auto& ids : items) hasher.add({reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)});
  return hasher.hex();
}

Result<Json> Search::kept(Json key, const std::function<Result<Json>()>& measure) {
  key["model"] = report_.sha256;
  key["build"] = build_id();
  if (o_.store) {
    if (auto found = o_.store->find(key)) return std::move(*found);
  }
  MIAO_TRY(Json value, measure());
  if (o_.store) {
    if (auto done = o_.store->keep(key, value); !done.ok()) log_warn(done.error().str());
    fault_point("measurement.kept");
  }
  return value;
}

Result<void> Search::open() {
  types_ = o_.types;
  if (types_.empty()) {
    types_ = {DType::q4_0, DType::iq4_nl, DType::q4_k, DType::iq4_xs, DType::q4_1,
              DType::q5_0, DType::q5_k,   DType::q5_1, DType::q6_k,   DType::q8_0};
  }
  MIAO_TRY(task_, Task::of(model_, o_));
  report_.wording = task_->wording();
  std::error_code error;
  std::filesystem::create_directories(work_folder(), error);
  if (error) return Error{Code::io, "cannot make the folder: " + error.message(), out_.string()};
  MIAO_TRY(const io::Checkpoint checkpoint, io::Checkpoint::open(model_));
  const QuantizeOptions plan{.recipe = recipe_of(types_[0]), .calibration = {}, .progress = {}, .cancel = o_.cancel};
  MIAO_CHECK_OK(plan_types(checkpoint, plan));  // what is quantised already is told before the long part
  MIAO_TRY(GgufCopy copy, GgufCopy::of(
                              checkpoint, work_folder() / "model.gguf",
                              [&](uint64_t done, uint64_t total) {
                                progress("converting", static_cast<int64_t>(done), static_cast<int64_t>(total));
                              },
                              o_.cancel));
  copy_ = std::move(copy);
  for (const std::string& line : copy_->notes()) say(line);
  MIAO_TRY(report_.sha256, sha256_file(copy_->path()));
  MIAO_TRY(base_, task_->open(copy_->path()));
  MIAO_CHECK_OK(check_numbers(base_->checkpoint(), base_->pool(), o_.cancel));
  MIAO_TRY(judge_, task_->open_judge(*base_));
  report_.architecture = base_->spec().family;
  report_.base_bytes = std::filesystem::file_size(copy_->path(), error);
  return {};
}

Result<void> Search::cut_texts() {
  MIAO_TRY(sets_, task_->cut(*base_, [&](Json key, const auto& measure) { return kept(std::move(key), measure); }));
  report_.request = task_->request();
  for (size_t s = 0; s < kSets; ++s) {
    int64_t tokens = 0;
    for (const auto& ids : sets_.items[s]) tokens += static_cast<int64_t>(ids.size());
    const auto count = static_cast<int64_t>(sets_.items[s].size());
    report_.sets.push_back({kSetNames[s], count, tokens / count, tokens});
  }
  return {};
}

Result<void> Search::find_importance() {
  const Json key{{"what", "importance"},
                 {"windows", hash_of(sets_.items[kCalibration])},
                 {"model", report_.sha256},
                 {"build", build_id()}};
  const auto folder = importance_folder(measure::cache_folder());
  const auto file = folder / (sha256_hex(key.dump()) + ".gguf");
  if (o_.store) {
    if (auto found = Importance::read(file); found.ok()) {
      importance_ = std::move(*found);
      return {};
    }
  }
  const auto done = [&](int64_t n) {
    progress("reading calibration text", n, static_cast<int64_t>(sets_.items[kCalibration].size()));
  };
  // Not of the judge: what is written depends on it, and is the same on every machine.
  MIAO_TRY(importance_, measure_importance(*base_, sets_.items[kCalibration], done, o_.cancel));
  if (!o_.store) return {};
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  if (auto written = importance_.write(file, {o_.text_name}); !written.ok()) log_warn(written.error().str());
  return {};
}

Result<void> Search::find_losses() {
  const Json key{{"what", "sensitivity"},
                 {"calibration", hash_of(sets_.items[kCalibration])},
                 {"windows", hash_of(sets_.items[kSearch])},
                 {"types", names_of(types_)}};
  MIAO_TRY(
      const Json json, kept(key, [&]() -> Result<Json> {
        const LossOptions options{.progress = [&](int64_t n, int64_t total) { progress("measuring losses", n, total); },
                                  .cancel = o_.cancel};
        MIAO_TRY(const auto made, measure_sensitivity(judging(), sets_.items[kSearch], importance_, types_, options));
        return to_json(made);
      }));
  MIAO_TRY(report_.matrices, matrices_of(json));
  return {};
}

Json Search::timed(const char* what) const {
  const measure::Machine machine = measure::describe_machine();
  const Request& r = report_.request;
  return {{"what", what},
          {"machine", machine.brand},
          {"kernel", machine.kernel},
          {"threads", base_->pool().threads()},
          {"isa", base_->isa()},
          {"request", {r.prompt, r.gen, r.batch, r.lengths}}};
}

Result<void> Search::find_times() {
  Json key = timed("times");
  key["types"] = names_of(types_);
  MIAO_TRY(const Json json, kept(key, [&]() -> Result<Json> {
             TimeOptions options{.progress = {}, .cancel = o_.cancel};
             options.progress = [&](std::string_view what, int64_t n, int64_t total) { progress(what, n, total); };
             MIAO_TRY(const TimeTable made, measure_times(*base_, task_->clock(*base_), types_, options));
             return to_json(made);
           }));
  MIAO_TRY(report_.times, time_table_of(json));
  return {};
}

// What the table promises a mix to gain over the base, and what it gains when all its matrices run together: kinds
// share caches and threads otherwise than where all have one type. Both in turn.
Result<void> Search::check_times() {
  const Candidate mix = candidate_of(solve(of_matrices(), goal_, limits()));
  Json key = timed("mix"), types = Json::object();
  for (const auto& [name, type] : mix.types) types[name] = format(type).name;
  key["types"] = std::move(types);
  constexpr int kRounds = 5;
  MIAO_TRY(const Json json, kept(key, [&]() -> Result<Json> {
             std::vector<Rendered> made;
             std::vector<TensorView> views;
             for (const auto& [name, type] : mix.types) {
               const TensorView& source = *base_->checkpoint().find(name);
               if (source.dtype == type) continue;
               MIAO_TRY(Rendered one, stand_in(*base_, source, type));
               made.push_back(std::move(one));
             }
             for (const Rendered& one : made) views.push_back(one.view);
             const Clock clock = task_->clock(*base_);
             std::array<std::vector<double>, 2> first, step;
             for (int round = 0; round < kRounds; ++round) {
               progress("timing a mix", round, kRounds);
               for (const size_t side : {0, 1}) {
                 Replaced replaced(*base_);
                 if (side == 1 && !views.empty()) MIAO_CHECK_OK(replaced.put(views));
                 MIAO_TRY(const Times t, clock.once(static_cast<uint64_t>(round)));
                 first[side].push_back(t.first);
                 step[side].push_back(t.step);
               }
             }
             const auto share = [](const auto& of) {
               const double base = measure::median(of[0]);
               return base > 0 ? 1 - measure::median(of[1]) / base : 0;
             };
             return Json{share(first), share(step)};
           }));
  const Costs base = base_costs();
  const auto gain = [&](Quantity q, double measured) {
    const double promised = base[q] > 0 ? 1 - mix.predicted[q] / base[q] : 0;
    return promised > kTold ? std::clamp(measured / promised, 1 - kDoubt, 1 + kDoubt) : 1;
  };
  report_.mix_gain = {gain(kFirst, json.at(0).get<double>()), gain(kStep, json.at(1).get<double>())};
  return {};
}

// Options that another one beats in every respect are left out; the type that a matrix has stays.
void Search::make_problem() {
  const TimeTable& times = *report_.times;
  const Times rest = times.rest();
  // What the writer adds: a checksum for each tensor, the canary and a few keys. The first candidate tells exactly.
  problem_ = {};
  double fixed_bytes =
      static_cast<double>(report_.base_bytes) + static_cast<double>(80 * base_->checkpoint().tensors().size() + 1024);
  for (size_t i = 0; i < report_.matrices.size(); ++i) {
    MatrixLoss& m = report_.matrices[i];
    fixed_bytes -= static_cast<double>(m.types[0].bytes);
    std::erase_if(m.types, [&](const TypeLoss& t) { return !times.knows(m.tensor, t.type); });
    std::vector<Costs>& options = problem_.items.emplace_back();
    for (const TypeLoss& t : m.types) {
      const Times as_is = times.of(m.tensor, m.types[0].type), table = times.of(m.tensor, t.type);
      const Times of{as_is.first - report_.mix_gain.first * (as_is.first - table.first),
                     as_is.step - report_.mix_gain.step * (as_is.step - table.step)};
      const auto bytes = static_cast<double>(t.bytes);
      options.push_back({t.loss, of.request(report_.request), of.first, bytes, of.step, bytes});
    }
  }
  problem_.fixed = {0, rest.request(report_.request), rest.first, fixed_bytes, rest.step, fixed_bytes};
  if (!report_.kv.empty()) add_kv();
  // What a running model has besides; before any candidate, as much as the base.
  problem_.fixed[kMemory] += static_cast<double>(report_.base_memory) - base_costs()[kMemory];
}

void Search::add_kv() {
  std::vector<Costs>& options = problem_.items.emplace_back();
  for (const KvOption& kv : report_.kv) {
    options.push_back(
        {kv.loss, kv.more.request(report_.request), kv.more.first, 0, kv.more.step, static_cast<double>(kv.bytes)});
  }
}

Problem Search::of_matrices() const {
  Problem out = problem_;
  if (!report_.kv.empty()) out.items.back() = {Costs{}};
  return out;
}

Result<void> Search::learn() {
  MIAO_CHECK_OK(find_importance());
  MIAO_CHECK_OK(find_times());
  MIAO_CHECK_OK(find_losses());
  MIAO_CHECK_OK(find_kv());
  make_problem();
  MIAO_CHECK_OK(check_times());
  make_problem();
  report_.front_time = front(problem_, kLoss, kSeconds);
  report_.front_size = front(problem_, kLoss, kBytes);
  report_.front_memory = front(problem_, kLoss, kMemory);
  return {};
}

bool Search::time_left(double needed) const { return o_.seconds <= 0 || now_seconds() - start_ + needed < o_.seconds; }

}  // namespace miao::compress

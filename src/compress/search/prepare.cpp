// What a search knows before it chooses: texts, importance, losses and times.
#include <algorithm>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "compress/calibration_text.h"
#include "compress/measurements.h"
#include "compress/quantize.h"
#include "compress/round_tensor.h"
#include "compress/search/search.h"
#include "io/checkpoint.h"
#include "measure/machine.h"
#include "models/model.h"
#include "prep/tokenizer.h"

namespace miao::compress {

namespace {

constexpr int64_t kWindow = 512, kSearchWindow = 256;
constexpr int64_t kOwnContext = 4096;                            // that an engine takes unasked
constexpr std::array<int64_t, kSets> kMost = {64, 4, 100, 200};  // windows
constexpr std::array<int64_t, kSets> kOwn = {64, 4, 48, 96};     // of text that the model writes, which takes time
constexpr int64_t kLeastWindows = 8;                             // of the sets that verdicts are about
constexpr int64_t kLogitsBytes = int64_t{1} << 30;               // of the search set, kept

Json names_of(std::span<const DType> types) {
  Json out = Json::array();
  for (const DType t : types) out.push_back(format(t).name);
  return out;
}

}  // namespace

std::string hash_of(const std::vector<std::vector<int32_t>>& windows) {
  Hasher hasher;
  for (const auto& window : windows)
    hasher.add({reinterpret_cast<const char*>(window.data()), window.size() * sizeof(int32_t)});
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
  std::error_code error;
  std::filesystem::create_directories(work_folder(), error);
  if (error) return Error{Code::io, "cannot make the folder: " + error.message(), out_.string()};
  MIAO_TRY(const io::Checkpoint checkpoint, io::Checkpoint::open(model_));
  MIAO_TRY(const auto shape, models::shape_of(checkpoint));
  if (shape != models::ModelSpec::Shape::decoder) {
    return Error{Code::unsupported, "the search is for decoders; miao quantize rounds other models", model_.string()};
  }
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
  runtime::EngineOptions engine{
      .threads = o_.threads, .ctx = std::max(kWindow, o_.request.ctx()), .isa = {}, .packs = {}, .cancel = o_.cancel};
  MIAO_TRY(base_, runtime::Engine::open(copy_->path(), engine));
  const int64_t own = std::min(base_->spec().ctx, kOwnContext);
  if (!o_.questions.empty() && base_->ctx() < own) {  // questions may be as long as the model allows
    base_.reset();
    engine.ctx = own;
    MIAO_TRY(base_, runtime::Engine::open(copy_->path(), engine));
  }
  MIAO_CHECK_OK(check_numbers(base_->checkpoint(), base_->pool(), o_.cancel));
  report_.architecture = base_->spec().family;
  report_.base_bytes = std::filesystem::file_size(copy_->path(), error);
  return base_->check_memory(o_.request.batch, o_.request.ctx());
}

Result<void> Search::cut_texts() {
  const int64_t window = std::min(kWindow, base_->ctx());
  const int64_t search_window = std::min(kSearchWindow, window);
  const int64_t rows = kLogitsBytes / (base_->vocab() * static_cast<int64_t>(sizeof(float)));
  const auto most = [&](Set set) {
    if (set != kSearch) return (o_.text.empty() ? kOwn : kMost)[set];
    return std::clamp<int64_t>(rows / search_window, 1, kMost[kSearch]);
  };
  const auto length = [&](Set set) { return set == kSearch ? search_window : window; };
  std::array<std::string, kSets> texts;
  if (!o_.text.empty()) {
    texts = o_.final_text.empty() ? split_text(o_.text, {0.25, 0.05, 0.25, 0.45})
                                  : split_text(o_.text, {0.42, 0.08, 0.5, 0});
    if (!o_.final_text.empty()) texts[kFinal] = o_.final_text;
    calibration_text_ = texts[kCalibration];
  }
  for (size_t s = 0; s < kSets; ++s) {
    const auto set = static_cast<Set>(s);
    const WindowOptions size{most(set), length(set)};
    if (o_.text.empty()) {
      OwnTextOptions own{.size = size, .seed = o_.seed + s, .progress = {}, .cancel = o_.cancel};
      own.progress = [&](int64_t tokens) {
        progress(std::string("writing text: ") + kSetNames[s], tokens, size.windows * (size.tokens - 1));
      };
      const Json key{{"what", "own text"}, {"seed", own.seed}, {"windows", size.windows}, {"tokens", size.tokens}};
      MIAO_TRY(const Json windows, kept(key, [&]() -> Result<Json> {
                 MIAO_TRY(const auto made, own_text(*base_, own));
                 return Json(made);
               }));
      sets_[s] = windows.get<Windows>();
    } else {
      MIAO_TRY(const prep::Tokenizer* tokenizer, base_->tokenizer());
      auto cut = text_windows(*tokenizer, texts[s], size);
      if (!cut.ok()) {
        cut.error().message = std::string("its share for ") + kSetNames[s] + " " + cut.error().message;
        return std::move(cut.error()).at(o_.text_name);
      }
      sets_[s] = std::move(*cut);
      const auto found = static_cast<int64_t>(sets_[s].size());
      if ((set == kVerify || set == kFinal) && found < kLeastWindows) {
        return Error{Code::invalid,
                     std::string("is too short: ") + std::to_string(found) + " windows are left for " + kSetNames[s] +
                         ", and a confidence bound needs " + std::to_string(kLeastWindows) + "; give about " +
                         std::to_string((kLeastWindows + found) / std::max<int64_t>(1, found)) + " times as much text",
                     o_.text_name};
      }
    }
    report_.sets.push_back(
        {kSetNames[s], static_cast<int64_t>(sets_[s].size()), static_cast<int64_t>(sets_[s][0].size())});
  }
  return {};
}

Result<void> Search::find_importance() {
  const Json key{{"what", "importance"},
                 {"windows", hash_of(sets_[kCalibration])},
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
  MIAO_TRY(
      const Importance fresh,
      measure_importance(
          *base_, sets_[kCalibration],
          [&](int64_t n) { progress("reading calibration text", n, static_cast<int64_t>(sets_[kCalibration].size())); },
          o_.cancel));
  // What is read back has been rounded: a second run must not see other values than the first.
  const auto path = o_.store ? file : work_folder() / "importance.gguf";
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  if (auto written = fresh.write(path, {o_.text_name}); !written.ok()) {
    if (!o_.store) return written;
    log_warn(written.error().str());
    return fresh.write(work_folder() / "importance.gguf", {o_.text_name});
  }
  MIAO_TRY(importance_, Importance::read(path));
  return {};
}

Result<void> Search::find_losses() {
  const Json key{{"what", "sensitivity"},
                 {"calibration", hash_of(sets_[kCalibration])},
                 {"windows", hash_of(sets_[kSearch])},
                 {"types", names_of(types_)}};
  MIAO_TRY(const Json json, kept(key, [&]() -> Result<Json> {
             const LossOptions options{
                 .progress = [&](int64_t n, int64_t total) { progress("measuring losses", n, total); },
                 .cancel = o_.cancel};
             MIAO_TRY(const auto made, measure_sensitivity(*base_, sets_[kSearch], importance_, types_, options));
             return to_json(made);
           }));
  MIAO_TRY(report_.matrices, matrices_of(json));
  return {};
}

Result<void> Search::find_times() {
  const measure::Machine machine = measure::describe_machine();
  const Json key{{"what", "times"},          {"machine", machine.brand},
                 {"kernel", machine.kernel}, {"threads", base_->pool().threads()},
                 {"isa", base_->isa()},      {"request", {o_.request.prompt, o_.request.gen, o_.request.batch}},
                 {"types", names_of(types_)}};
  MIAO_TRY(const Json json, kept(key, [&]() -> Result<Json> {
             TimeOptions options{.progress = {}, .cancel = o_.cancel};
             options.progress = [&](std::string_view what, int64_t n, int64_t total) { progress(what, n, total); };
             MIAO_TRY(const TimeTable made, measure_times(*base_, o_.request, types_, options));
             return to_json(made);
           }));
  MIAO_TRY(report_.times, time_table_of(json));
  return {};
}

// Options that another one beats in every respect are left out; the type that a matrix has stays.
void Search::make_problem() {
  const TimeTable& times = *report_.times;
  const Times rest = times.rest();
  // What the writer adds: a checksum for each tensor, the canary and a few keys. The first candidate tells exactly.
  double fixed_bytes =
      static_cast<double>(report_.base_bytes) + static_cast<double>(80 * base_->checkpoint().tensors().size() + 1024);
  for (size_t i = 0; i < report_.matrices.size(); ++i) {
    MatrixLoss& m = report_.matrices[i];
    fixed_bytes -= static_cast<double>(m.types[0].bytes);
    std::erase_if(m.types, [&](const TypeLoss& t) { return !times.knows(m.tensor, t.type); });
    std::vector<Costs>& options = problem_.items.emplace_back();
    for (const TypeLoss& t : m.types) {
      const Times of = times.of(m.tensor, t.type);
      options.push_back({t.loss, of.request(o_.request), of.first, static_cast<double>(t.bytes), of.step});
    }
  }
  problem_.fixed = {0, rest.request(o_.request), rest.first, fixed_bytes, rest.step};
}

Result<void> Search::learn() {
  MIAO_CHECK_OK(find_importance());
  MIAO_CHECK_OK(find_times());
  MIAO_CHECK_OK(find_losses());
  make_problem();
  report_.front_time = front(problem_, kLoss, kSeconds);
  report_.front_size = front(problem_, kLoss, kBytes);
  return {};
}

bool Search::time_left(double needed) const { return o_.seconds <= 0 || now_seconds() - start_ + needed < o_.seconds; }

}  // namespace miao::compress

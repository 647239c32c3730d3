// What a search asks of the kind of model at hand: how texts become the items of its sets, what a request is and how it
// is timed, and how a candidate is judged beside the base. All else is the same for every kind.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "compress/compress.h"
#include "compress/search/split.h"
#include "compress/time_table.h"
#include "measure/quality.h"
#include "runtime/blockwise.h"

namespace miao::compress {

using Items = std::vector<std::vector<int32_t>>;  // ids of windows, or of texts

struct Sets {
  std::array<Items, kSets> items;
  std::string calibration_text;  // empty where the model wrote it
  std::string data;              // hash of what candidates are judged on besides
};

class Task {
 public:
  using Model = runtime::Blockwise;
  // What the store has for `key`, or what `measure` finds.
  using Kept = std::function<Result<Json>(Json key, const std::function<Result<Json>()>& measure)>;

  // By the headers of the model's file. `options` must outlive it. Errors: unsupported; invalid for options that are
  // about another kind of model, and for budgets of losses that this one has not.
  static Result<std::unique_ptr<Task>> of(const std::filesystem::path& model, const CompressOptions& options);
  virtual ~Task() = default;

  virtual Wording wording() const = 0;
  virtual Result<std::unique_ptr<Model>> open(const std::filesystem::path& file) = 0;
  // `base` once more, for passes whose time does not count: it computes the same in less time, and takes more memory.
  // nullptr where that cannot be had.
  virtual Result<std::unique_ptr<Model>> open_judge(const Model& /*base*/) { return std::unique_ptr<Model>(); }
  // Errors: invalid for text that is too short, with how much it lacks.
  virtual Result<Sets> cut(Model& base, const Kept& kept) = 0;
  virtual Request request() const = 0;  // after cut()
  virtual Clock clock(Model& model) const = 0;
  virtual Result<measure::LatencyReport> latency(Model& model, const measure::Workload& workload) const = 0;
  virtual int64_t memory(const Model& model) const = 0;  // of a request, as the engine counts it
  // The type of keys and values, where there are any, and another one from now on.
  virtual std::optional<kernels::KvType> kv_type(const Model& model) const = 0;
  virtual Result<void> use_kv(Model& model, kernels::KvType kv) const = 0;
  // Records of the items of a set, for the store, and the figures that they give.
  virtual Result<Json> measure(Model& model, Model& base, Set set, const measure::QualityRun& run) const = 0;
  virtual Result<measure::Quality> quality(const Json& records) const = 0;

 protected:
  explicit Task(const CompressOptions& options) : o_(options) {}
  void progress(std::string_view what, int64_t done, int64_t total) const {
    if (o_.progress) o_.progress(what, static_cast<uint64_t>(done), static_cast<uint64_t>(total));
  }
  const CompressOptions& o_;
};

std::unique_ptr<Task> decoder_task(const CompressOptions& options);
std::unique_ptr<Task> encoder_task(const CompressOptions& options);

}  // namespace miao::compress

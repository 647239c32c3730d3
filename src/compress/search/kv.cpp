// Keys and values in types of fewer bits: what is lost, and what a request gains.
#include <algorithm>
#include <numeric>

#include "compress/search/search.h"
#include "compress/search/streams.h"
#include "measure/stats.h"

namespace miao::compress {

namespace {

using kernels::KvType;

constexpr int kRounds = 3;

Json to_json(const std::vector<KvOption>& options) {
  Json out = Json::array();
  for (const KvOption& o : options)
    out.push_back({kernels::kv_format(o.type).name, o.loss, o.more.first, o.more.step, o.bytes});
  return out;
}

Result<std::vector<KvOption>> options_of(const Json& json) {
  std::vector<KvOption> out;
  for (const Json& o : json) {
    const auto type = kernels::kv_from_name(o.at(0).get<std::string>());
    if (!type) return Error{Code::corrupt, "a kept measurement has another form; delete the store", {}};
    out.push_back(
        {*type, o.at(1).get<double>(), {o.at(2).get<double>(), o.at(3).get<double>()}, o.at(4).get<int64_t>()});
  }
  return out;
}

// The model as it is comes back whatever happens in between.
class Tried {
 public:
  Tried(const Task& task, Task::Model& model, KvType own) : task_(task), model_(model), own_(own) {}
  ~Tried() { (void)task_.use_kv(model_, own_); }
  Tried(const Tried&) = delete;
  Tried& operator=(const Tried&) = delete;

 private:
  const Task& task_;
  Task::Model& model_;
  KvType own_;
};

}  // namespace

Result<std::vector<KvOption>> Search::measure_kv(const std::vector<KvType>& types) {
  const auto total = static_cast<int64_t>(types.size());
  const KvType own = *task_->kv_type(*base_);
  const Tried tried(*task_, *base_, own);
  const Items& windows = sets_.items[kSearch];
  Streams streams(*base_, windows, o_.cancel);
  MIAO_TRY(const Base base, Base::of(*base_, streams, windows));
  const int64_t memory = task_->memory(*base_);
  std::vector<KvOption> out;
  for (const KvType type : types) {
    progress("measuring keys and values", static_cast<int64_t>(out.size()), total);
    MIAO_CHECK_OK(task_->use_kv(*base_, type));
    KvOption& option = out.emplace_back(KvOption{.type = type, .bytes = task_->memory(*base_) - memory});
    if (type == own) continue;
    Streams again(*base_, windows, o_.cancel);
    MIAO_TRY(const auto losses, base.divergence(*base_, again));
    option.loss = std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
  }
  // Against the model as it is, each in turn: what is small beside all else drowns in what drifts.
  std::vector<std::vector<double>> first(types.size()), step(types.size());
  for (int round = 0; round < kRounds; ++round) {
    progress("timing keys and values", round, kRounds);
    MIAO_CHECK_OK(task_->use_kv(*base_, own));
    MIAO_TRY(const Times base_times, task_->clock(*base_).once(static_cast<uint64_t>(round)));
    for (size_t i = 0; i < types.size(); ++i) {
      if (types[i] == own) continue;
      MIAO_CHECK_OK(task_->use_kv(*base_, types[i]));
      MIAO_TRY(const Times t, task_->clock(*base_).once(static_cast<uint64_t>(round)));
      first[i].push_back(t.first - base_times.first);
      step[i].push_back(t.step - base_times.step);
    }
  }
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] != own) out[i].more = {measure::median(first[i]), measure::median(step[i])};
  }
  return out;
}

Result<void> Search::find_kv() {
  const auto own = task_->kv_type(*base_);
  if (!own) return {};
  std::vector<KvType> types = o_.kv;
  if (types.empty()) {
    types = {KvType::f16, KvType::int8, KvType::int4};
    const int bits = kernels::kv_format(*own).bits;
    std::erase_if(types, [&](KvType kv) { return kernels::kv_format(kv).bits > bits; });
  }
  std::stable_partition(types.begin(), types.end(), [&](KvType kv) { return kv == *own; });
  Json names = Json::array();
  for (const KvType type : types) names.push_back(kernels::kv_format(type).name);
  Json key = timed("keys and values");
  key["windows"] = hash_of(sets_.items[kSearch]);
  key["types"] = std::move(names);
  MIAO_TRY(const Json json, kept(key, [&]() -> Result<Json> {
             MIAO_TRY(const auto made, measure_kv(types));
             return to_json(made);
           }));
  MIAO_TRY(report_.kv, options_of(json));
  return {};
}

}  // namespace miao::compress

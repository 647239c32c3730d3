// The state of a search (compress/compress.h) and its parts.
#pragma once

#include <array>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "compress/compress.h"
#include "compress/gguf_copy.h"
#include "compress/importance.h"
#include "compress/search/task.h"

namespace miao::compress {

class Search {
 public:
  Search(const std::filesystem::path& model, const std::filesystem::path& out, const CompressOptions& options)
      : model_(model), out_(out), o_(options) {}

  Result<CompressReport> run();

 private:
  // prepare.cpp
  Result<void> open();
  Result<void> cut_texts();
  Result<void> learn();  // importance, losses, times
  Result<void> find_importance();
  Result<void> find_losses();
  Result<void> find_times();
  Result<void> find_kv();  // kv.cpp
  Result<std::vector<KvOption>> measure_kv(const std::vector<kernels::KvType>& types);
  Result<void> check_times();
  void make_problem();
  void add_kv();
  Problem of_matrices() const;  // keys and values as they are

  // references.cpp
  Result<void> compare();  // additivity, controls, what others would take
  std::vector<Reference> random_mixes(double target, uint64_t seed) const;
  void add_controls(std::vector<Reference>& out) const;
  void add_usual(std::vector<Reference>& out) const;

  // trial.cpp
  Result<void> judge(Candidate& candidate);
  Result<std::filesystem::path> build(const Candidate& candidate);
  Result<measure::Quality> quality_of(const Candidate& candidate, Set set);
  Result<Speeds> speeds_of(Task::Model& model);
  void find_misses(Candidate& candidate) const;
  Result<void> find_latency(const Candidate& candidate);
  Result<void> write_result(const Candidate& candidate);

  // figures.cpp: losses that are not of a text
  Result<void> check_figures();
  Result<void> add_figures(const Candidate& candidate, Set set, measure::Quality& quality);
  Result<double> figure_of(const std::filesystem::path& file, const std::string& key, const std::string& name);
  std::vector<measure::Question> questions_of(Set set) const;

  // compress.cpp
  Result<void> choose();
  Result<void> confirm();  // on the final text
  Costs base_costs() const;
  CostLimits limits() const;
  void learn_from(const Candidate& candidate);
  double goal_of(const Candidate& candidate) const;  // measured; less is better
  Candidate candidate_of(const Allocation& allocation) const;

  // The base for all that is not timed.
  Task::Model& judging() { return judge_ ? *judge_ : *base_; }
  Json timed(const char* what) const;  // a key of the store: what times depend on
  // What the store has for `key`, or what `measure` finds and the store then keeps.
  Result<Json> kept(Json key, const std::function<Result<Json>()>& measure);
  void say(const std::string& line) const {
    if (o_.note) o_.note(line);
  }
  void progress(std::string_view what, int64_t done, int64_t total) const {
    if (o_.progress) o_.progress(what, static_cast<uint64_t>(done), static_cast<uint64_t>(total));
  }
  bool time_left(double needed) const;
  // What is only there while a search is not finished. No name that a user would give a folder: it is removed.
  std::filesystem::path work_folder() const { return out_ / ".miao-compress"; }

  std::filesystem::path model_, out_;
  const CompressOptions& o_;
  double start_ = 0, trial_seconds_ = 0;
  CompressReport report_;
  std::vector<DType> types_;
  std::optional<GgufCopy> copy_;
  std::unique_ptr<Task> task_;
  std::unique_ptr<Task::Model> base_;
  std::unique_ptr<Task::Model> judge_;  // the base once more, see Task::open_judge()
  Sets sets_;
  std::string calibrated_on_;
  Importance importance_;
  Problem problem_;  // an item for each of report_.matrices, and of decoders one for keys and values
  Quantity goal_ = kSeconds;
  std::map<std::string, double> figures_;    // by Candidate::key, of the base by "base"
  std::vector<double> ratio_;                // of each loss budget: upper bound by a power of the predicted loss
  Costs time_ratio_ = {1, 1, 1, 1, 1, 1};    // measured by predicted, of the quantities that are times
  double bytes_over_ = 0, memory_over_ = 0;  // what a file, and a running model, have more than predicted bytes
  double passed_ = 0, failed_ = std::numeric_limits<double>::infinity();  // predicted losses of candidates
};

std::string hash_of(const Items& items);
Json to_json(const TimeTable& table);
Result<TimeTable> time_table_of(const Json& json);
Json to_json(const std::vector<MatrixLoss>& matrices);
Result<std::vector<MatrixLoss>> matrices_of(const Json& json);

}  // namespace miao::compress

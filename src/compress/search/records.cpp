#include "compress/search/records.h"

namespace miao::compress {

namespace {

Error broken() { return {Code::corrupt, "a kept measurement has another form; delete the store", {}}; }

template <class T>
bool read(const Json& json, const char* key, std::vector<T>& out) {
  if (!json.contains(key) || !json[key].is_array()) return false;
  for (const Json& value : json[key]) {
    if (!value.is_number()) return false;
    out.push_back(value.get<T>());
  }
  return true;
}

}  // namespace

Json to_json(const measure::TextRecords& r) {
  return {{"ctx", r.ctx},       {"chunks", r.chunks},     {"scored", r.scored},     {"tokens", r.tokens},
          {"begins", r.begins}, {"nll", r.nll},           {"base_nll", r.base_nll}, {"kl", r.kl},
          {"tv", r.tv},         {"same_top", r.same_top}, {"right", r.right},       {"base_right", r.base_right}};
}

Result<measure::TextRecords> text_records_of(const Json& json) {
  measure::TextRecords r;
  r.ctx = json.at("ctx").get<int64_t>();
  r.chunks = json.at("chunks").get<int64_t>();
  r.scored = json.at("scored").get<int64_t>();
  r.tokens = json.at("tokens").get<int64_t>();
  r.begins = json.at("begins").get<bool>();
  r.paired = true;
  const bool whole = read(json, "nll", r.nll) && read(json, "base_nll", r.base_nll) && read(json, "kl", r.kl) &&
                     read(json, "tv", r.tv) && read(json, "same_top", r.same_top) && read(json, "right", r.right) &&
                     read(json, "base_right", r.base_right);
  const auto items = static_cast<size_t>(r.chunks * r.scored);
  for (const size_t n : {r.nll.size(), r.base_nll.size(), r.kl.size(), r.tv.size(), r.same_top.size(), r.right.size(),
                         r.base_right.size()}) {
    if (!whole || n != items) return broken();
  }
  return r;
}

Json to_json(const measure::VectorRecords& r) {
  return {{"near", r.near}, {"cosine", r.cosine}, {"overlap", r.overlap}, {"distance", r.distance}};
}

Result<measure::VectorRecords> vector_records_of(const Json& json) {
  measure::VectorRecords r;
  r.near = json.value("near", int64_t{0});
  const bool whole =
      read(json, "cosine", r.cosine) && read(json, "overlap", r.overlap) && read(json, "distance", r.distance);
  if (!whole || r.near < 1 || r.cosine.size() != r.distance.size() || r.overlap.empty() ||
      r.overlap.size() > r.cosine.size()) {
    return broken();
  }
  return r;
}

Json to_json(const measure::PairRecords& r) { return {{"score", r.score}, {"own", r.own}, {"base", r.base}}; }

Result<measure::PairRecords> pair_records_of(const Json& json) {
  measure::PairRecords r{.paired = true, .score = {}, .own = {}, .base = {}};
  const bool whole = read(json, "score", r.score) && read(json, "own", r.own) && read(json, "base", r.base);
  if (!whole || r.score.size() < 2 || r.own.size() != r.score.size() || r.base.size() != r.score.size())
    return broken();
  return r;
}

Json to_json(const measure::AnswerRecords& r) {
  return {{"truth", r.truth}, {"own", r.picks.at(0).own}, {"base", r.picks.at(0).base}, {"kl", r.kl}};
}

Result<measure::AnswerRecords> label_records_of(const Json& json) {
  measure::AnswerRecords r{.task = "labels", .item = "text", .paired = true};
  r.picks.push_back({"accuracy", "accuracy", {}, {}});
  auto &own = r.picks.at(0).own, &base = r.picks.at(0).base;
  const bool whole =
      read(json, "truth", r.truth) && read(json, "own", own) && read(json, "base", base) && read(json, "kl", r.kl);
  for (const size_t n : {own.size(), base.size(), r.kl.size()}) {
    if (!whole || r.truth.empty() || n != r.truth.size()) return broken();
  }
  return r;
}

}  // namespace miao::compress

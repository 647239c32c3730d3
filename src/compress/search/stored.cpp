// What a search measured, to the JSON of a store and back.
#include "compress/search/search.h"

namespace miao::compress {

namespace {

Error broken() { return {Code::corrupt, "a kept measurement has another form; delete the store", {}}; }

std::optional<DType> type_at(const Json& json, const char* key) {
  return json.contains(key) && json[key].is_string() ? dtype_from_name(json[key].get<std::string>()) : std::nullopt;
}

Json of(const Times& t) { return {t.first, t.step}; }
Times times_at(const Json& json) { return {json.at(0).get<double>(), json.at(1).get<double>()}; }

}  // namespace

Json to_json(const TimeTable& table) {
  const TimeTable::Data data = table.data();
  Json kinds = Json::array(), tensors = Json::object();
  for (const TimeTable::Kind& kind : data.kinds) {
    Json types = Json::object();
    for (const auto& [type, times] : kind.types) types[format(type).name] = of(times);
    kinds.push_back({{"name", kind.name}, {"weights", kind.weights}, {"types", std::move(types)}});
  }
  for (const auto& [name, kind] : data.tensors) tensors[name] = {kind.first, kind.second};
  return {{"rest", of(data.rest)}, {"kinds", std::move(kinds)}, {"tensors", std::move(tensors)}};
}

Result<TimeTable> time_table_of(const Json& json) {
  if (!json.contains("rest") || !json.contains("kinds") || !json.contains("tensors")) return broken();
  TimeTable::Data data{.rest = times_at(json["rest"]), .kinds = {}, .tensors = {}};
  for (const Json& kind : json["kinds"]) {
    TimeTable::Kind& k = data.kinds.emplace_back();
    k.name = kind.at("name").get<std::string>();
    k.weights = kind.at("weights").get<double>();
    for (const auto& [name, times] : kind.at("types").items()) {
      const auto type = dtype_from_name(name);
      if (!type) return broken();
      k.types[*type] = times_at(times);
    }
  }
  for (const auto& [name, kind] : json["tensors"].items())
    data.tensors[name] = {kind.at(0).get<std::string>(), kind.at(1).get<double>()};
  return TimeTable(std::move(data));
}

Json to_json(const std::vector<MatrixLoss>& matrices) {
  Json out = Json::array();
  for (const MatrixLoss& m : matrices) {
    Json types = Json::array();
    for (const TypeLoss& t : m.types)
      types.push_back({{"type", format(t.type).name}, {"bytes", t.bytes}, {"error", t.error}, {"loss", t.loss}});
    out.push_back({{"tensor", m.tensor},
                   {"layer", m.layer},
                   {"shape", m.shape},
                   {"probe", format(m.probe).name},
                   {"probe_loss", m.probe_loss},
                   {"act", m.act},
                   {"types", std::move(types)}});
  }
  return out;
}

Result<std::vector<MatrixLoss>> matrices_of(const Json& json) {
  std::vector<MatrixLoss> out;
  for (const Json& m : json) {
    const auto probe = type_at(m, "probe");
    if (!probe) return broken();
    MatrixLoss& one = out.emplace_back();
    one.tensor = m.at("tensor").get<std::string>();
    one.layer = m.at("layer").get<int64_t>();
    one.shape = m.at("shape").get<std::vector<int64_t>>();
    one.probe = *probe;
    one.probe_loss = m.at("probe_loss").get<double>();
    one.act = m.at("act").get<double>();
    for (const Json& t : m.at("types")) {
      const auto type = type_at(t, "type");
      if (!type) return broken();
      one.types.push_back(
          {*type, t.at("bytes").get<uint64_t>(), t.at("error").get<double>(), t.at("loss").get<double>()});
    }
    if (one.types.empty()) return broken();
  }
  return out;
}

}  // namespace miao::compress

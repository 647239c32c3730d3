// A search as JSON: all that was measured and chosen, for programs.
#include "base/json.h"
#include "compress/compress_report.h"

namespace miao::compress {

namespace {

Json of(const Costs& c) {
  return {{"loss", c[kLoss]},          {"seconds", c[kSeconds]}, {"first_token_seconds", c[kFirst]},
          {"token_seconds", c[kStep]}, {"bytes", c[kBytes]},     {"memory", c[kMemory]}};
}

Json of(const TypesByName& types) {
  Json out = Json::object();
  for (const auto& [name, type] : types) out[name] = format(type).name;
  return out;
}

Json of(const std::vector<Allocation>& front) {
  Json out = Json::array();
  for (const Allocation& a : front) out.push_back(of(a.total));
  return out;
}

const char* name_of(measure::Metric::Form form) {
  return form == measure::Metric::Form::percent ? "percent" : form == measure::Metric::Form::count ? "count" : "number";
}

Json of(const measure::Quality& q) {
  Json out{{"unit", q.unit}, {"units", q.units}, {"items", q.items}, {"level", q.level}};
  for (const measure::Metric& m : q.metrics) {
    Json& one = out["metrics"][m.key];
    one["value"] = m.value;
    one["label"] = m.label;
    one["form"] = name_of(m.form);
    if (m.ci) one["interval"] = {m.ci->low, m.ci->high};
  }
  out["verdicts"] = Json::array();
  for (const measure::Verdict& v : q.verdicts) {
    Json one{{"budget", v.budget.text()}, {"loss", v.loss.value}, {"outcome", measure::name(v.outcome)}};
    if (v.loss.upper) one["upper"] = *v.loss.upper;
    if (v.more > 0) one["more_units_needed"] = v.more;
    out["verdicts"].push_back(std::move(one));
  }
  return out;
}

Json of(const Request& r) {
  Json out{{"prompt", r.prompt}, {"gen", r.gen}, {"batch", r.batch}};
  if (!r.lengths.empty()) out["lengths"] = r.lengths;
  return out;
}

Json of(const Times& t, const Request& r) {
  return {{"first_token_seconds", t.first}, {"token_seconds", t.step}, {"request_seconds", t.request(r)}};
}

Json of(const Candidate& c, const Request& r) {
  Json out{{"name", c.name}, {"predicted", of(c.predicted)}, {"bytes", c.bytes}, {"memory", c.memory}};
  out["goal_bound"] = c.bound;
  if (c.quality) out["quality"] = of(*c.quality);
  if (c.final_quality) out["final"] = of(*c.final_quality);
  if (c.speeds) {
    out["speed"] = {{"base", of(c.speeds->base, r)},
                    {"own", of(c.speeds->own, r)},
                    {"ratio", c.speeds->ratio},
                    {"ratio_lower_bound", c.speeds->ratio_low},
                    {"base_request_seconds", c.speeds->base_request},
                    {"request_seconds", c.speeds->request}};
  }
  out["misses"] = c.misses;
  if (c.kv) out["kv"] = kernels::kv_format(*c.kv).name;
  out["types"] = of(c.types);
  return out;
}

}  // namespace

Json to_json(const CompressReport& r, const ReportContext& context) {
  Json out{{"schema", kCompressSchema},
           {"version", context.version},
           {"date", context.date},
           {"command", context.command},
           {"machine", context.machine.brand},
           {"energy_counter", context.machine.energy_counter},
           {"model", r.model},
           {"architecture", r.architecture},
           {"sha256", r.sha256},
           {"text", r.text_name},
           {"kept", r.kept},
           {"file", r.file.string()},
           {"seconds", r.seconds},
           {"threads", r.threads},
           {"level", r.level},
           {"loss", r.wording.axis},
           {"loss_metric", r.wording.metric},
           {"request", of(r.request)},
           {"base", {{"bytes", r.base_bytes}, {"memory", r.base_memory}}},
           {"misses", r.misses}};
  out["told"] = Json::array();
  for (const std::string& key : r.wording.told) {
    if (r.final_quality && r.final_quality->find(key)) out["told"].push_back(key);
  }
  out["budgets"] = Json::array();
  for (const measure::Budget& b : r.budgets.losses) out["budgets"].push_back(b.text());
  const auto budget = [&](const char* key, std::optional<double> value) {
    if (value) out["limits"][key] = *value;
  };
  budget("speed", r.budgets.speed);
  budget("first_token_seconds", r.budgets.first);
  budget("token_seconds", r.budgets.step);
  budget("request_seconds", r.budgets.request);
  budget("bytes", r.budgets.size);
  budget("bytes_share", r.budgets.size_share);
  budget("memory", r.budgets.memory);
  for (const SetSize& s : r.sets)
    out["sets"][s.name] = {{r.wording.item + "s", s.windows}, {"tokens", s.tokens}, {"total", s.total}};
  if (r.final_questions > 0) {
    out["questions"] = {{"name", r.questions_name}, {"verification", r.verify_questions}, {"final", r.final_questions}};
  }
  if (!r.evaluate_name.empty()) out["evaluate"] = r.evaluate_name;
  out["chosen"] = r.chosen;
  if (r.final_quality) out["final"] = of(*r.final_quality);
  for (size_t i = 0; i < r.latency.size(); ++i) {
    const measure::LatencyReport& l = r.latency[i];
    Json points = Json::array();
    for (const measure::LatencyPoint& p : l.points) points.push_back({{"tokens", p.length}, {"seconds", p.seconds}});
    out["latency"]["lengths"] = l.lengths;
    out["latency"]["mean_length"] = l.mean_length;
    out["latency"][i == 0 ? "base" : "own"] = {{"expected_seconds", l.predicted.value},
                                               {"interval", {l.predicted.ci.low, l.predicted.ci.high}},
                                               {"tau_ms", l.tau.formula()},
                                               {"points", std::move(points)}};
  }
  out["candidates"] = Json::array();
  for (const Candidate& c : r.candidates) out["candidates"].push_back(of(c, r.request));
  out["additivity"] = {{"predicted", r.additivity.predicted},
                       {"measured", r.additivity.measured},
                       {"spearman", r.additivity.spearman},
                       {"slope", r.additivity.slope}};
  out["references"] = Json::array();
  for (const Reference& ref : r.references) {
    out["references"].push_back({{"name", ref.name}, {"predicted", of(ref.predicted)}, {"loss", ref.loss}});
  }
  out["front_time"] = of(r.front_time);
  out["front_size"] = of(r.front_size);
  out["front_memory"] = of(r.front_memory);
  out["matrices"] = Json::array();
  for (const MatrixLoss& m : r.matrices) {
    Json types = Json::object();
    for (const TypeLoss& t : m.types) types[format(t.type).name] = {{"bytes", t.bytes}, {"loss", t.loss}};
    out["matrices"].push_back({{"tensor", m.tensor},
                               {"shape", m.shape},
                               {"probe", format(m.probe).name},
                               {"probe_loss", m.probe_loss},
                               {"types", std::move(types)}});
  }
  out["kv"] = Json::array();
  for (const KvOption& kv : r.kv) {
    out["kv"].push_back({{"type", kernels::kv_format(kv.type).name},
                         {"loss", kv.loss},
                         {"more", {{"first_token_seconds", kv.more.first}, {"token_seconds", kv.more.step}}},
                         {"more_memory", kv.bytes}});
  }
  out["mix_gain"] = {{"first_token", r.mix_gain.first}, {"token", r.mix_gain.step}};
  out["times"] = Json::array();
  if (r.times) {
    out["rest"] = {{"first_token_seconds", r.times->rest().first}, {"token_seconds", r.times->rest().step}};
    for (const TimeTable::Kind& kind : r.times->kinds()) {
      for (const auto& [type, t] : kind.types)
        out["times"].push_back({{"kind", kind.name},
                                {"type", format(type).name},
                                {"first_token_seconds", t.first},
                                {"token_seconds", t.step}});
    }
  }
  return out;
}

}  // namespace miao::compress

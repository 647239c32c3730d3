// report.json, read with its places checked: another program may have written the file, or another version.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/json.h"
#include "compress/comparison.h"
#include "compress/compress_report.h"

namespace miao::compress {

namespace {

constexpr size_t kMostBytes = size_t{256} << 20;

// Values by their place; the first that is missing, or has another type, is remembered.
class Fields {
 public:
  explicit Fields(const Json& json) : json_(json) {}

  const Json* find(const std::string& place) const {
    const Json::json_pointer pointer(place);
    return json_.contains(pointer) ? &json_.at(pointer) : nullptr;
  }
  double number(const std::string& place) {
    const Json* const value = find(place);
    if (value && value->is_number()) return value->get<double>();
    return miss(place, "a number"), 0;
  }
  std::string text(const std::string& place) {
    const Json* const value = find(place);
    if (value && value->is_string()) return value->get<std::string>();
    return miss(place, "a text"), std::string();
  }
  bool flag(const std::string& place) {
    const Json* const value = find(place);
    if (value && value->is_boolean()) return value->get<bool>();
    return miss(place, "true or false"), false;
  }
  std::string object(const std::string& place) {  // as JSON
    const Json* const value = find(place);
    if (value && value->is_object()) return dump_json(*value);
    return miss(place, "an object"), std::string();
  }
  std::vector<std::string> texts(const std::string& place) {
    std::vector<std::string> out;
    for (size_t i = 0; i < count(place); ++i) out.push_back(text(place + "/" + std::to_string(i)));
    return out;
  }
  size_t count(const std::string& place) {
    const Json* const value = find(place);
    if (value && value->is_array()) return value->size();
    return miss(place, "a list"), 0;
  }
  const std::string& missing() const { return missing_; }

 private:
  void miss(const std::string& place, const char* what) {
    if (missing_.empty()) missing_ = place + " is not " + what;
  }

  const Json& json_;
  std::string missing_;
};

measure::Metric metric_at(Fields& in, const std::string& quality, const std::string& key) {
  const std::string place = quality + "/metrics/" + key;
  measure::Metric out{.key = key, .label = in.text(place + "/label"), .value = in.number(place + "/value")};
  const std::string form = in.text(place + "/form");
  out.form = form == "percent" ? measure::Metric::Form::percent
             : form == "count" ? measure::Metric::Form::count
                               : measure::Metric::Form::number;
  if (in.find(place + "/interval")) out.ci = {{in.number(place + "/interval/0"), in.number(place + "/interval/1")}};
  return out;
}

Finding::Figures times_at(Fields& in, const std::string& place) {
  return {.first = in.number(place + "/first_token_seconds"),
          .step = in.number(place + "/token_seconds"),
          .request = in.number(place + "/request_seconds")};
}

void read_types(Finding& out, const Json* types) {
  std::map<std::string, int64_t> counts;
  if (types && types->is_object()) {
    for (const Json& type : *types) ++counts[type.is_string() ? type.get<std::string>() : ""];
  }
  out.types.assign(counts.begin(), counts.end());
  std::ranges::stable_sort(out.types, std::greater(), &std::pair<std::string, int64_t>::second);
}

// Budgets that are not of a loss, as people would say them.
void read_limits(Finding& out, Fields& in) {
  const auto limit = [&](const char* key, const auto& words) {
    const std::string place = std::string("/limits/") + key;
    if (in.find(place)) out.budgets.push_back(words(in.number(place)));
  };
  const auto mb = [](const char* what) {
    return [what](double bytes) { return fmt::format("{} {:.4g} MB", what, bytes / 1e6); };
  };
  const auto ms = [](const char* what) {
    return [what](double seconds) { return fmt::format("{} {:.4g} ms", what, 1e3 * seconds); };
  };
  limit("speed", [](double factor) { return fmt::format("speed {:g}x", factor); });
  limit("first_token_seconds", ms("first token"));
  limit("token_seconds", ms("token"));
  limit("request_seconds", ms("request"));
  limit("bytes", mb("file"));
  limit("bytes_share", [](double share) { return fmt::format("file {:g} %", 100 * share); });
  limit("memory", mb("memory"));
}

Finding finding_of(Fields& in) {
  Finding out;
  out.model = in.text("/model");
  out.architecture = in.text("/architecture");
  out.sha256 = in.text("/sha256");
  out.text = in.text("/text");
  out.machine = in.text("/machine");
  out.date = in.text("/date");
  out.command = in.text("/command");
  out.axis = in.text("/loss");
  out.kept = in.flag("/kept");
  out.budgets = in.texts("/budgets");
  read_limits(out, in);
  out.misses = in.texts("/misses");
  out.level = in.number("/level");
  out.seconds = in.number("/seconds");
  out.threads = static_cast<int>(in.number("/threads"));
  out.request = in.object("/request");
  out.sets = in.object("/sets");
  const std::string metric = in.text("/loss_metric");
  const auto chosen = static_cast<int64_t>(in.number("/chosen"));
  for (size_t i = 0; i < in.count("/candidates"); ++i) {
    const std::string place = "/candidates/" + std::to_string(i);
    out.trials.push_back({.name = in.text(place + "/name"),
                          .bytes = in.number(place + "/bytes"),
                          .speed = in.number(place + "/speed/ratio"),
                          .loss = metric_at(in, place + "/quality", metric),
                          .kept = in.count(place + "/misses") == 0});
    if (static_cast<int64_t>(i) != chosen) continue;
    out.base = times_at(in, place + "/speed/base");
    out.own = times_at(in, place + "/speed/own");
    out.own.bytes = in.number(place + "/bytes");
    out.own.memory = in.number(place + "/memory");
    out.speed = in.number(place + "/speed/ratio");
    out.speed_low = in.number(place + "/speed/ratio_lower_bound");
    if (in.find(place + "/kv")) out.kv = in.text(place + "/kv");
    read_types(out, in.find(place + "/types"));
  }
  out.base.bytes = in.number("/base/bytes");
  out.base.memory = in.number("/base/memory");
  out.loss = metric_at(in, "/final", metric);
  for (const std::string& key : in.texts("/told")) out.told.push_back(metric_at(in, "/final", key));
  out.unit = in.text("/final/unit");
  for (size_t i = 0; i < in.count("/front_size"); ++i) {
    const std::string place = "/front_size/" + std::to_string(i);
    out.front.emplace_back(in.number(place + "/bytes"), in.number(place + "/loss"));
  }
  return out;
}

Result<Finding> read_search(const std::filesystem::path& path) {
  std::error_code error;
  const auto file = std::filesystem::is_directory(path, error) ? path / "report.json" : path;
  MIAO_TRY(const std::string text, read_file(file, kMostBytes));
  MIAO_TRY(const Json json, parse_json(text, file.string()));
  Fields in(json);
  const double schema = in.number("/schema");
  const Json* const chosen = in.find("/chosen");
  if (chosen && chosen->is_number() && chosen->get<double>() < 0)
    return Error{Code::invalid, "is of a search that built no model", file.string()};
  Finding out = finding_of(in);
  if (!in.missing().empty() || schema != kCompressSchema) {
    return Error{
        Code::corrupt,
        "is not what this version of miao compress reports: " +
            (in.missing().empty() ? fmt::format("/schema is {:g}, not {}", schema, kCompressSchema) : in.missing()),
        file.string()};
  }
  out.file = file;
  out.name = std::filesystem::absolute(file, error).parent_path().filename().string();
  if (file.filename() != "report.json") out.name += "/" + file.filename().string();
  return out;
}

// Names that tell the findings apart: as many of their folders as it takes.
void name_apart(std::vector<Finding>& findings) {
  for (Finding& f : findings) {
    const auto same = [&](const Finding& other) { return other.name == f.name; };
    if (std::ranges::count_if(findings, same) > 1) f.name = f.file.parent_path().string();
  }
}

bool comparable(const Finding& a, const Finding& b) {
  return a.sha256 == b.sha256 && a.axis == b.axis && a.text == b.text && a.sets == b.sets && a.request == b.request &&
         a.machine == b.machine && a.threads == b.threads;
}

void find_better(std::vector<Finding>& findings) {
  for (Finding& f : findings) {
    for (size_t i = 0; i < findings.size() && f.better < 0; ++i) {
      const Finding& o = findings[i];
      if (&o == &f || !comparable(o, f)) continue;
      const bool no_worse =
          o.loss.value <= f.loss.value && o.own.bytes <= f.own.bytes && o.own.request <= f.own.request;
      const bool better = o.loss.value < f.loss.value || o.own.bytes < f.own.bytes || o.own.request < f.own.request;
      if (no_worse && better) f.better = static_cast<int>(i);
    }
  }
}

std::vector<std::string> differences_of(const std::vector<Finding>& findings) {
  std::vector<std::string> out;
  const Finding& first = findings.front();
  const auto differ = [&](auto what, const char* words) {
    std::string names;
    for (const Finding& f : findings) {
      if (what(f) != what(first)) names += (names.empty() ? "" : ", ") + f.name;
    }
    if (!names.empty()) out.push_back(fmt::format("{}: {} than {}", names, words, first.name));
  };
  differ([](const Finding& f) { return f.sha256; }, "another model as the base");
  differ([](const Finding& f) { return f.axis; }, "loss is another quantity");
  differ([](const Finding& f) { return f.text + "\n" + f.sets; }, "losses are of other text");
  differ([](const Finding& f) { return f.request; }, "times are of another request");
  differ([](const Finding& f) { return f.machine + "\n" + std::to_string(f.threads); },
         "times are of another machine, or other threads,");
  return out;
}

}  // namespace

Result<Comparison> compare_searches(std::span<const std::filesystem::path> paths) {
  Comparison out;
  for (const auto& path : paths) {
    MIAO_TRY(Finding one, read_search(path));
    out.findings.push_back(std::move(one));
  }
  if (out.findings.empty()) return Error{Code::invalid, "no report is given", {}};
  name_apart(out.findings);
  find_better(out.findings);
  out.differences = differences_of(out.findings);
  return out;
}

}  // namespace miao::compress

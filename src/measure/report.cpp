// See report.h: warnings and JSON.
#include "measure/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"

namespace miao::measure {

namespace {

Json json(const Spread& s) { return {{"median", s.median}, {"min", s.min}, {"max", s.max}}; }

Json json(const std::vector<std::pair<std::string, double>>& profile) {
  Json out = Json::object();
  for (const auto& [name, seconds] : profile) out[name] = seconds;
  return out;
}

Json json(const Load& load, bool there) {
  if (!there) return {};
  return {{"ops_per_byte", load.ops_per_byte}, {"ops_per_s", load.ops_per_second}, {"share", load.share}};
}

Json json(const Limits& limits) {
  return {{"read_bytes_per_s", limits.read},
          {"read_buffer_bytes", limits.read_bytes},
          {"fp32_ops_per_s", limits.fp32},
          {"int8_ops_per_s", limits.int8},
          {"amx_int8_ops_per_s", limits.amx > 0 ? Json(limits.amx) : Json()}};
}

Json json(const BenchRow& row) {
  const bool prefill = !row.prefill_seconds.empty(), decode = !row.decode_seconds.empty();
  const Roofline& roof = row.roofline;
  Json out;
  out["prompt"] = row.what.prompt;
  out["gen"] = row.what.gen;
  out["batch"] = row.what.batch;
  out["depth"] = row.what.depth;
  out["threads"] = row.threads;
  out["prefill_tok_s"] = prefill ? json(row.prefill_tok_s) : Json();
  out["decode_tok_s"] = decode ? json(row.decode_tok_s) : Json();
  out["ttft_ms"] = prefill ? Json(row.ttft_ms) : Json();
  out["itl_ms"] = decode ? Json{{"p50", row.itl_p50_ms}, {"p95", row.itl_p95_ms}, {"p99", row.itl_p99_ms}} : Json();
  out["peak_rss_bytes"] = row.peak_rss;
  out["limits"] = json(roof.limits);
  out["roofline"] = {{"bytes_per_token", roof.bytes_per_token},
                     {"prefill_ops_per_token", roof.prefill_ops_per_token},
                     {"decode_ops_per_token", roof.decode_ops_per_token},
                     {"peak", roof.peak.name},
                     {"peak_ops_per_s", roof.peak.ops},
                     {"prefill", json(roof.prefill, prefill)},
                     {"prefill_vector_int8_share", prefill && roof.vector_share > 0 ? Json(roof.vector_share) : Json()},
                     {"decode", json(roof.decode, decode)}};
  out["prefill_seconds"] = row.prefill_seconds;
  out["decode_seconds"] = row.decode_seconds;
  if (!row.prefill_profile.empty()) out["prefill_profile_s"] = json(row.prefill_profile);
  if (!row.decode_profile.empty()) out["decode_profile_s"] = json(row.decode_profile);
  return out;
}

Json json(const EncodeRow& row) {
  const bool texts = !row.texts.empty();
  Json out;
  out["texts"] = texts ? Json(row.texts) : Json();
  out["inputs"] = row.inputs;
  out["mean_tokens"] = row.mean_tokens();
  out["batch"] = row.batch;
  out["threads"] = row.threads;
  out["tok_s"] = json(row.tok_s);
  out["inputs_s"] = json(row.inputs_s);
  out["inputs_s_with_tokenising"] = texts ? json(row.whole_inputs_s) : Json();
  out["pass_ms"] = {{"p50", row.pass_p50_ms}, {"p90", row.pass_p90_ms}, {"p99", row.pass_p99_ms}};
  out["peak_rss_bytes"] = row.peak_rss;
  out["limits"] = json(row.limits);
  out["roofline"] = {{"ops_per_token", row.ops_per_token},
                     {"peak", row.peak.name},
                     {"peak_ops_per_s", row.peak.ops},
                     {"encode", json(row.load, true)}};
  out["seconds"] = row.seconds;
  out["pass_seconds"] = row.pass_seconds;
  if (texts) out["tokenising_seconds"] = row.tokenising_seconds;
  if (!row.profile.empty()) out["profile_s"] = json(row.profile);
  return out;
}

Json json(const Seq2SeqRow& row) {
  Json out;
  out["prompt"] = row.what.prompt;
  out["gen"] = row.what.gen;
  out["batch"] = row.what.batch;
  out["beams"] = row.what.beams;
  out["threads"] = row.threads;
  out["encode_tok_s"] = json(row.encode_tok_s);
  out["written_tok_s"] = json(row.written_tok_s);
  out["latency_ms"] = {{"p50", row.latency_p50_ms}, {"p90", row.latency_p90_ms}};
  out["peak_rss_bytes"] = row.peak_rss;
  out["encode_seconds"] = row.encode_seconds;
  out["search_seconds"] = row.search_seconds;
  if (!row.profile.empty()) out["profile_s"] = json(row.profile);
  return out;
}

Json json(const Interval& seconds) { return {1e3 * seconds.low, 1e3 * seconds.high}; }

Json json(const LatencyReport& report) {
  Json points = Json::array(), inputs = Json::array(), seconds;
  for (const LatencyPoint& p : report.points)
    points.push_back(
        {{"tokens", p.length}, {"ms", 1e3 * p.seconds}, {"min_ms", 1e3 * p.fastest}, {"max_ms", 1e3 * p.slowest}});
  for (const auto& [length, time] : report.inputs) inputs.push_back({length, 1e3 * time});
  for (int i = 0; i < kLatencyTerms; ++i)
    seconds[name(static_cast<LatencyTerm>(i))] = report.tau.seconds[static_cast<size_t>(i)];
  return {{"lengths", report.lengths},
          {"threads", report.threads},
          {"mean_length", report.mean_length},
          {"tau",
           {{"formula_ms", report.tau.formula()},
            {"seconds", std::move(seconds)},
            {"chunk", report.tau.chunk},
            {"r2", report.error.r2},
            {"mean_error", report.error.mean},
            {"largest_error", report.error.largest},
            {"largest_error_tokens", report.error.largest_at},
            {"left_out_error", report.error.left_out}}},
          {"samples", report.inputs.size()},
          {"predicted_ms", 1e3 * report.predicted.value},
          {"predicted_ci95_ms", json(report.predicted.ci)},
          {"measured_ms", 1e3 * report.measured.value},
          {"measured_ci95_ms", json(report.measured.ci)},
          {"error", report.difference.value},
          {"error_ci95", {report.difference.ci.low, report.difference.ci.high}},
          {"within_noise", report.agrees()},
          {"batch", report.batch},
          {"batch_ms", 1e3 * report.batch_seconds.value},
          {"batch_ci95_ms", json(report.batch_seconds.ci)},
          {"batch_inputs_per_s", report.batch_inputs_per_second},
          {"points", std::move(points)},
          {"inputs_tokens_ms", std::move(inputs)}};
}

}  // namespace

std::vector<std::string> warnings(const BenchReport& report) {
  std::vector<std::string> out;
  if (report.isa == "scalar" && report.machine.isas.size() > 1) {
    out.push_back("scalar kernels were used although this processor has " + report.machine.isas.back());
  }
  for (const auto& group : report.kernels) {
    const bool vector_isa = report.isa != "scalar";
    if (vector_isa &&
        (group.gemv.find("scalar") != std::string::npos || group.gemm.find("scalar") != std::string::npos)) {
      out.push_back(
          fmt::format("{} ({}) runs on a scalar kernel: {}, {}", group.weights, group.format, group.gemv, group.gemm));
    }
  }
  if (report.machine.load > 0.5) {
    out.push_back(
        fmt::format("the load was {:.1f} before the run: other programs make the figures worse", report.machine.load));
  }
  const auto wide = [&](const Spread& s, const std::string& what) {
    if (s.median > 0 && (s.max - s.min) / s.median > 0.15)
      out.push_back(fmt::format("{} varies by {:.0f} %", what, 100 * (s.max - s.min) / s.median));
  };
  for (const BenchRow& row : report.rows) {
    const std::string at = fmt::format(" at prompt {}, gen {}, batch {}, {} threads", row.what.prompt, row.what.gen,
                                       row.what.batch, row.threads);
    wide(row.prefill_tok_s, "prefill" + at);
    wide(row.decode_tok_s, "decode" + at);
  }
  for (const EncodeRow& row : report.encodes)
    wide(row.tok_s, fmt::format("speed at {}, {} threads", name_of(row), row.threads));
  for (const Seq2SeqRow& row : report.seq2seqs) {
    const std::string at = fmt::format(" at {}, {} threads", name_of(row), row.threads);
    wide(row.encode_tok_s, "encoding" + at);
    wide(row.written_tok_s, "search" + at);
  }
  return out;
}

Json to_json(const Machine& machine) {
  Json out;
  out["processor"] = machine.brand;
  out["isas"] = machine.isas;
  out["physical_cores"] = machine.limits.physical_cores;
  out["cpuset"] = machine.limits.cpuset;
  out["cpu_quota"] = machine.limits.quota > 0 ? Json(machine.limits.quota) : Json();
  out["default_threads"] = machine.limits.threads();
  out["memory_total_bytes"] = machine.limits.memory_total;
  out["memory_free_bytes"] = machine.limits.memory_free;
  out["kernel"] = machine.kernel;
  out["huge_pages"] = machine.huge_pages;
  out["load"] = machine.load;
  for (const ReadPoint& p : machine.read) {
    out["read"].push_back({{"threads", p.threads}, {"bytes", p.bytes}, {"bytes_per_s", p.bytes_per_second}});
  }
  for (const PeakPoint& p : machine.peaks) {
    out["peaks"].push_back({{"threads", p.threads},
                            {"fp32_ops_per_s", p.fp32},
                            {"int8_ops_per_s", p.int8},
                            {"amx_int8_ops_per_s", p.amx > 0 ? Json(p.amx) : Json()},
                            {"barrier_ns", 1e9 * p.barrier}});
  }
  return out;
}

Json to_json(const std::vector<KernelRow>& rows) {
  Json out = Json::array();
  for (const KernelRow& row : rows) {
    out.push_back({{"isa", row.isa},
                   {"format", row.format},
                   {"gemv", row.gemv},
                   {"gemv_gb_s", row.gemv_bytes_per_second / 1e9},
                   {"gemm", row.gemm},
                   {"gemm_gops", row.gemm_ops_per_second / 1e9}});
  }
  return out;
}

Json to_json(const BenchReport& report) {
  Json out;
  out["schema"] = kSchema;
  out["miao"] = report.version;
  out["date"] = report.date;
  out["model"] = report.model;
  out["family"] = report.family;
  out["isa"] = report.isa;
  out["dtype"] = report.dtype;
  out["kv"] = report.kv.empty() ? Json() : Json(report.kv);
  Json rows = Json::array();
  for (const BenchRow& row : report.rows) rows.push_back(json(row));
  for (const EncodeRow& row : report.encodes) rows.push_back(json(row));
  for (const Seq2SeqRow& row : report.seq2seqs) rows.push_back(json(row));
  if (rows.size() == 1) out.update(rows[0]);
  out["load_ms"] = 1e3 * report.load_seconds;
  out["packed"] = report.memory.cached ? "cache" : "file";
  out["memory"] = {{"weights", report.memory.weights},
                   {"embedding", report.memory.embedding},
                   {"buffers", report.memory.buffers},
                   {"kv_reserved", report.memory.kv_reserved},
                   {"kv_per_token", report.memory.kv_per_token}};
  for (const auto& group : report.kernels) {
    out["kernels"].push_back({{"weights", group.weights},
                              {"format", group.format},
                              {"gemv", group.gemv},
                              {"gemm", group.gemm},
                              {"bytes", group.bytes}});
  }
  out["rows"] = std::move(rows);
  for (const LatencyReport& latency : report.latency) out["latency"].push_back(json(latency));
  out["machine"] = to_json(report.machine);
  out["warnings"] = warnings(report);
  return out;
}

}  // namespace miao::measure

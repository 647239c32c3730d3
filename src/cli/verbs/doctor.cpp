// miao doctor: what this machine offers, measured, and what may be in the way.
#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "base/cpu.h"
#include "base/env.h"
#include "base/json.h"
#include "cli/chat/line_editor.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "cli/version.h"
#include "io/hub.h"
#include "measure/machine.h"
#include "measure/report.h"
#include "models/pack_cache.h"

namespace miao::cli {

namespace {

namespace fs = std::filesystem;

struct Options {
  int threads = 0;
  bool quick = false, network = false;
};

struct Check {
  const char* name;
  enum class State { ok, warning, failed } state;
  std::string detail;
};

const char* state_name(Check::State state) {
  constexpr const char* kNames[] = {"ok", "warning", "failed"};
  return kNames[static_cast<int>(state)];
}

// The nearest folder of `path` that exists must allow making files.
Check writable(const char* name, const fs::path& path) {
  fs::path at = path;
  std::error_code ignored;
  while (!at.empty() && at != at.root_path() && !fs::exists(at, ignored)) at = at.parent_path();
  const bool folder = fs::is_directory(at, ignored);
  if (folder && ::access(at.c_str(), W_OK | X_OK) == 0) return {name, Check::State::ok, path.string()};
  return {name, Check::State::warning, path.string() + (folder ? " cannot be written" : " is no folder")};
}

Check packed_weights() {
  Check out = writable("packed weights", io::packs_folder());
  uint64_t bytes = 0;
  for (const models::PackFile& pack : models::list_packs(io::packs_folder())) bytes += pack.bytes;
  out.detail += ", " + human_bytes(bytes) + (io::packs_wanted() ? "" : "; MIAO_PACK_CACHE switches them off");
  return out;
}

fs::path huggingface_cache() {
  if (const auto folder = env("HF_HUB_CACHE")) return *folder;
  if (const auto folder = env("HF_HOME")) return fs::path(*folder) / "hub";
  if (const auto folder = env("XDG_CACHE_HOME")) return fs::path(*folder) / "huggingface" / "hub";
  return fs::path(env("HOME").value_or("/")) / ".cache" / "huggingface" / "hub";
}

Check hub_reachable() {
  const std::string url = env("HF_ENDPOINT").value_or("https://huggingface.co");
  CURL* const handle = curl_easy_init();
  if (!handle) return {"hub", Check::State::failed, "libcurl cannot start"};
  char reason[CURL_ERROR_SIZE] = {};
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT, 15L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, reason);
  const CURLcode code = curl_easy_perform(handle);
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_cleanup(handle);
  if (code != CURLE_OK)
    return {"hub", Check::State::warning, url + ": " + (reason[0] ? reason : curl_easy_strerror(code))};
  return {"hub", status < 500 ? Check::State::ok : Check::State::warning, fmt::format("{} answers {}", url, status)};
}

std::vector<Check> checks(const measure::Machine& machine, const Options& o) {
  using State = Check::State;
  std::vector<Check> out;
  const bool vectors = machine.isas.size() > 1;
  out.push_back(
      {"instruction sets", vectors ? State::ok : State::warning,
       fmt::format("{}{}", fmt::join(machine.isas, ", "), vectors ? "" : "; AVX2 is missing, models run slowly")});
  if (const auto forced = env("MIAO_ISA"))
    out.push_back({"MIAO_ISA", State::warning, "kernels are forced to " + *forced});
  const CpuLimits& limits = machine.limits;
  std::string cores = fmt::format("{} by default: {} physical cores, {} logical processors allowed", limits.threads(),
                                  limits.physical_cores, limits.cpuset);
  if (limits.quota > 0) cores += fmt::format(", a quota of {:.1f}", limits.quota);
  out.push_back({"threads", State::ok, cores});
  out.push_back({"memory", limits.memory_free > uint64_t{1} << 30 ? State::ok : State::warning,
                 human_bytes(limits.memory_free) + " free of " + human_bytes(limits.memory_total)});
  const bool huge = machine.huge_pages == "always" || machine.huge_pages == "madvise";
  out.push_back(
      {"huge pages", huge ? State::ok : State::warning,
       machine.huge_pages.empty() ? "not known" : machine.huge_pages + (huge ? "" : "; weights use small pages")});
  out.push_back({"load", machine.load < 0.5 ? State::ok : State::warning,
                 fmt::format("{:.2f}{}", machine.load,
                             machine.load < 0.5 ? "" : "; other programs make the figures below worse")});
  out.push_back(writable("miao cache", measure::cache_folder()));
  out.push_back(packed_weights());
  out.push_back(writable("Hugging Face cache", huggingface_cache()));
  if (const fs::path history = history_path(); !history.empty())
    out.push_back(writable("chat history", history.parent_path()));
  if (o.network) out.push_back(hub_reachable());
  return out;
}

void print(const measure::Machine& machine, const std::vector<Check>& found) {
  const Style style(STDOUT_FILENO);
  out().line(style.bold("miao " + std::string(kVersion)) + ", " + machine.brand + ", " + machine.kernel);
  out().line("");
  Table table({{"check"}, {"state"}, {"detail"}});
  for (const Check& check : found) table.add({check.name, state_name(check.state), check.detail});
  out().write(table.str(false));
  if (!machine.read.empty()) {
    out().line("");
    std::vector<Table::Column> columns{{"read GB/s"}};
    for (const auto& p : machine.read) {
      if (p.threads == machine.read.front().threads) columns.push_back({fmt::format("{} MiB", p.bytes >> 20), true});
    }
    const size_t sizes = columns.size() - 1;
    Table read(std::move(columns));
    for (size_t i = 0; i < machine.read.size(); i += sizes) {
      std::vector<std::string> cells{
          fmt::format("{} thread{}", machine.read[i].threads, machine.read[i].threads > 1 ? "s" : "")};
      for (size_t k = 0; k < sizes; ++k)
        cells.push_back(fmt::format("{:.1f}", machine.read[i + k].bytes_per_second / 1e9));
      read.add(std::move(cells));
    }
    out().write(read.str());
  }
  if (machine.peaks.empty()) return;
  out().line("");
  Table peaks({{"arithmetic"}, {"FP32 GFLOPS", true}, {"int8 GOPS", true}, {"AMX int8 GOPS", true}, {"barrier", true}});
  for (const auto& p : machine.peaks) {
    peaks.add({fmt::format("{} thread{}", p.threads, p.threads > 1 ? "s" : ""), fmt::format("{:.0f}", p.fp32 / 1e9),
               fmt::format("{:.0f}", p.int8 / 1e9), p.amx > 0 ? fmt::format("{:.0f}", p.amx / 1e9) : "-",
               p.threads > 1 ? fmt::format("{:.0f} ns", 1e9 * p.barrier) : "-"});
  }
  out().write(peaks.str());
}

Result<int> run(const Options& o, const Common& common) {
  exit_on_interrupt();
  measure::Machine machine = measure::describe_machine();
  if (!o.quick) {
    MIAO_TRY(machine, measure::probe_machine({.max_threads = o.threads}));
  }
  const std::vector<Check> found = checks(machine, o);
  if (common.json) {
    Json json;
    json["miao"] = kVersion;
    for (const Check& check : found) {
      json["checks"].push_back({{"name", check.name}, {"state", state_name(check.state)}, {"detail", check.detail}});
    }
    json["machine"] = measure::to_json(machine);
    out().line(dump_json(json));
  } else {
    print(machine, found);
  }
  const bool failed =
      std::any_of(found.begin(), found.end(), [](const Check& c) { return c.state == Check::State::failed; });
  return static_cast<int>(failed ? kFailed : kOk);
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  app.add_option("-t,--threads", o->threads, "Probe 1 to so many threads; 0 = the cores that may be used")
      ->check(CLI::Range(0, 1024))
      ->type_name("N");
  app.add_flag("--quick", o->quick, "Look, but measure nothing");
  app.add_flag("--network", o->network, "Also ask whether the model hub can be reached");
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_doctor = {
    .name = "doctor",
    .group = "Other",
    .summary = "Check and measure this machine",
    .details =
        "Shows instruction sets, processor and memory limits of this machine or container and whether caches can "
        "be written, and measures read bandwidth, arithmetic and the cost of a barrier: the limits that 'miao "
        "bench' compares models with. Takes about ten seconds.",
    .examples =
        "miao doctor\n"
        "miao doctor --quick --network   # nothing measured; asks the hub\n"
        "miao doctor --json",
    .json = true,
    .add = add,
};

}  // namespace miao::cli

// miao ls: the models in the caches.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <ctime>

#include "base/json.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "compress/measurements.h"
#include "io/hub.h"
#include "measure/machine.h"
#include "models/pack_cache.h"
#include "search/store.h"

namespace miao::cli {

namespace {

// Beside the list: packs and indexes belong to any model, cached or not.
void tell_others() {
  uint64_t bytes = 0;
  for (const models::PackFile& pack : models::list_packs(io::packs_folder())) bytes += pack.bytes;
  if (bytes > 0) {
    fmt::print(stderr, "Packed weights take {} more; miao rm --packed deletes them.\n", human_bytes(bytes));
  }
  bytes = 0;
  for (const search::IndexFile& index : search::list_indexes(io::indexes_folder())) bytes += index.bytes;
  if (bytes > 0) {
    fmt::print(stderr, "Search indexes take {} more; miao rm --indexes deletes them.\n", human_bytes(bytes));
  }
  bytes = 0;
  for (const compress::KeptFile& file : compress::list_measurements(measure::cache_folder())) bytes += file.bytes;
  if (bytes > 0) {
    fmt::print(stderr, "Measurements of miao compress take {} more; miao rm --measurements deletes them.\n",
               human_bytes(bytes));
  }
}

Result<int> run(const Common& common) {
  MIAO_TRY(const std::vector<io::CachedModel> cached, io::list_models());
  if (common.json) {
    Json list = Json::array();
    for (const io::CachedModel& model : cached) {
      list.push_back({{"model", model.ref},
                      {"path", model.path.string()},
                      {"bytes", model.bytes},
                      {"modified", model.modified},
                      {"complete", model.complete}});
    }
    out().line(dump_json(list, 2));
    return kOk;
  }
  if (cached.empty()) {
    fmt::print(stderr, "No models are cached. Fetch one with: miao pull smollm2\n");
    tell_others();
    return kOk;
  }
  Table table({{"MODEL"}, {"SIZE", true}, {"MODIFIED"}, {"PATH"}});
  for (const io::CachedModel& model : cached) {
    table.add({printable(model.ref) + (model.complete ? "" : " (incomplete)"), human_bytes(model.bytes),
               fmt::format("{:%Y-%m-%d}", fmt::localtime(static_cast<std::time_t>(model.modified))),
               printable(model.path.string())});
  }
  out().write(table.str());
  tell_others();
  return kOk;
}

Run add(CLI::App&, const Common& common) {
  return [&common] { return run(common); };
}

}  // namespace

const Verb verb_ls = {
    .name = "ls",
    .group = "Models",
    .summary = "List the cached models",
    .details =
        "Lists what is in the Hugging Face cache (HF_HUB_CACHE, HF_HOME) and in miao's own (MIAO_CACHE, else "
        "~/.cache/miao). The first column can be given to every verb that takes a MODEL.",
    .examples =
        "miao ls\n"
        "miao ls --json | jq -r '.[].path'",
    .json = true,
    .add = add,
};

}  // namespace miao::cli

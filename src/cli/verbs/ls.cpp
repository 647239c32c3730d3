// miao ls: the models in the caches.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <ctime>

#include "base/json.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "io/hub.h"

namespace miao::cli {

namespace {

Result<int> run(const Common& common) {
  MIAO_TRY(const std::vector<io::CachedModel> models, io::list_models());
  if (common.json) {
    Json list = Json::array();
    for (const io::CachedModel& model : models) {
      list.push_back({{"model", model.ref},
                      {"path", model.path.string()},
                      {"bytes", model.bytes},
                      {"modified", model.modified},
                      {"complete", model.complete}});
    }
    out().line(dump_json(list, 2));
    return kOk;
  }
  if (models.empty()) {
    fmt::print(stderr, "No models are cached. Fetch one with: miao pull smollm2\n");
    return kOk;
  }
  Table table({{"MODEL"}, {"SIZE", true}, {"MODIFIED"}, {"PATH"}});
  for (const io::CachedModel& model : models) {
    table.add({printable(model.ref) + (model.complete ? "" : " (incomplete)"), human_bytes(model.bytes),
               fmt::format("{:%Y-%m-%d}", fmt::localtime(static_cast<std::time_t>(model.modified))),
               printable(model.path.string())});
  }
  out().write(table.str());
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

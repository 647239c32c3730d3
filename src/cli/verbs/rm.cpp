// miao rm: delete cached models after asking.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/interrupt.h"
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

struct Options {
  std::vector<std::string> models;
  bool packed = false, indexes = false, measurements = false, yes = false, dry_run = false;
};

io::Removal packed_weights() {
  io::Removal out;
  for (const models::PackFile& pack : models::list_packs(io::packs_folder())) {
    out.paths.push_back(pack.path);
    out.bytes += pack.bytes;
  }
  return out;
}

io::Removal search_indexes() {
  io::Removal out;
  for (const search::IndexFile& index : search::list_indexes(io::indexes_folder())) {
    out.paths.push_back(index.path);
    out.bytes += index.bytes;
  }
  return out;
}

io::Removal measurements() {
  io::Removal out;
  for (const compress::KeptFile& file : compress::list_measurements(measure::cache_folder())) {
    out.paths.push_back(file.path);
    out.bytes += file.bytes;
  }
  return out;
}

bool confirmed(const std::string& model, const io::Removal& removal) {
  fmt::print(stderr, "Delete {} ({})? [y/N] ", printable(model), human_bytes(removal.bytes));
  std::fflush(stderr);
  char line[16] = "";
  if (!std::fgets(line, sizeof line, stdin)) {
    fmt::print(stderr, "\n");
    return false;
  }
  return line[0] == 'y' || line[0] == 'Y';
}

Result<int> run(const Options& o, const Common& common) {
  if (o.models.empty() && !o.packed && !o.indexes && !o.measurements) {
    return usage_error(verb_rm, "name a cached model, or say --packed, --indexes or --measurements");
  }
  std::vector<io::Removal> removals;  // all of them are known before anything is deleted
  std::vector<std::string> names = o.models;
  for (const std::string& model : o.models) {
    MIAO_TRY(removals.emplace_back(), io::plan_removal(model));
  }
  if (o.packed) {
    removals.push_back(packed_weights());
    names.emplace_back("packed weights");
  }
  if (o.indexes) {
    removals.push_back(search_indexes());
    names.emplace_back("search indexes");
  }
  if (o.measurements) {
    removals.push_back(measurements());
    names.emplace_back("measurements of miao compress");
  }
  if (!o.yes && !o.dry_run && !is_tty(STDIN_FILENO)) {
    return usage_error(verb_rm, "nobody can be asked here: say --yes to delete");
  }
  for (size_t i = 0; i < removals.size(); ++i) {
    const io::Removal& removal = removals[i];
    const std::string& model = names[i];
    if (o.dry_run) {
      for (const auto& path : removal.paths) out().line(path.string());
      continue;
    }
    const bool wanted = o.yes || confirmed(model, removal);
    if (interrupted()) return Error{Code::cancelled, "interrupted", "rm"};
    if (!wanted) continue;
    MIAO_CHECK_OK(io::remove(removal));
    if (!common.quiet) fmt::print(stderr, "Deleted {} ({})\n", printable(model), human_bytes(removal.bytes));
  }
  if (!o.dry_run) models::delete_orphans(io::packs_folder());
  return kOk;
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  app.add_option("model", o->models, "Cached models, as miao ls names them")->type_name("MODEL");
  app.add_flag("--packed", o->packed, "Delete the packed weights of all models, which the next start makes anew");
  app.add_flag("--indexes", o->indexes, "Delete the indexes of miao search, which it then makes anew");
  app.add_flag("--measurements", o->measurements, "Delete what miao compress measured, which it then measures anew");
  app.add_flag("-y,--yes", o->yes, "Do not ask");
  app.add_flag("--dry-run", o->dry_run, "Print the paths that would be deleted");
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_rm = {
    .name = "rm",
    .group = "Models",
    .summary = "Delete cached models",
    .details =
        "Files that another revision of the same repository uses are kept. Only the caches are touched. The packed "
        "weights of a model (see MIAO_PACK_CACHE) go with it.",
    .examples =
        "miao rm smollm2\n"
        "miao rm --yes hf:ORG/REPO               # every cached revision of it\n"
        "miao rm hf:ORG/REPO@v1.0                # one revision\n"
        "miao rm hf:ORG/REPO-GGUF:Q4_K_M         # one quantisation\n"
        "miao rm --packed --indexes              # packed weights and search indexes alone\n"
        "miao rm --measurements                  # what miao compress keeps for its next run",
    .add = add,
};

}  // namespace miao::cli

// miao inspect: what a model file holds, without loading it: architecture, sizes, formats, tokenizer, chat template.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <numeric>

#include "base/json.h"
#include "cli/model.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "io/checkpoint.h"
#include "models/family.h"
#include "models/model.h"
#include "models/rope.h"
#include "models/source.h"
#include "runtime/text.h"

namespace miao::cli {

namespace {

namespace fs = std::filesystem;

struct Options {
  ModelArgument model;
  bool all = false, tensors = false;
};

struct TypeSum {
  uint64_t tensors = 0, parameters = 0, bytes = 0;
};

// One number of the architecture: its label, its JSON key and the keys of GGUF and Hugging Face files.
struct Dimension {
  const char *label, *json;
  models::Key key;
};
constexpr Dimension kDimensions[] = {
    {"Context", "context", {"context_length", "max_position_embeddings"}},
    {"Layers", "layers", {"block_count", "num_hidden_layers"}},
    {"Width", "width", {"embedding_length", "hidden_size"}},
    {"Heads", "heads", {"attention.head_count", "num_attention_heads"}},
    {"KV heads", "kv_heads", {"attention.head_count_kv", "num_key_value_heads"}},
    {"FFN width", "ffn_width", {"feed_forward_length", "intermediate_size"}},
};

struct Report {
  std::string path, file_kind, name, architecture, licence;
  bool supported = false;
  uint64_t parameters = 0, bytes = 0, tensors = 0;
  std::map<std::string, TypeSum> types;
  std::vector<std::pair<const Dimension*, int64_t>> dimensions;
  models::RopeSpec rope;
  int64_t rope_ctx = 0;  // models::ctx_of_scaling
  std::string tokenizer_kind, tokenizer_problem;
  int32_t vocab = 0;
  std::string bos, eos;
  std::string template_sha256, template_problem;
  bool has_template = false;
};

void read_architecture(const io::Checkpoint& checkpoint, Report& report) {
  const auto source = models::Source::open(checkpoint);
  if (!source.ok()) return;
  report.architecture = source->architecture();
  report.name = source->model_name();
  const auto known = models::supported_architectures();
  report.supported = std::find(known.begin(), known.end(), report.architecture) != known.end();
  for (const Dimension& dimension : kDimensions) {
    const auto value = source->integer(dimension.key, 0, int64_t{1} << 40, -1);
    if (value.ok() && *value >= 0) report.dimensions.emplace_back(&dimension, *value);
  }
  if (const auto family = models::find_family(*source); family.ok()) {
    if (const auto spec = (*family)->spec(*source); spec.ok()) {
      report.rope = spec->rope;
      report.rope_ctx = models::ctx_of_scaling(spec->rope, spec->ctx);
    }
  }
  if (const auto licence = checkpoint.meta().string("general.license", ""); licence.ok()) report.licence = *licence;
}

void read_text_side(const io::Checkpoint& checkpoint, Report& report) {
  if (const auto tokenizer = runtime::load_tokenizer(checkpoint); tokenizer.ok()) {
    report.tokenizer_kind = tokenizer->kind();
    report.vocab = tokenizer->vocab_size();
    if (const auto id = tokenizer->bos_id()) report.bos = tokenizer->id_to_piece(*id);
    if (const auto id = tokenizer->eos_id()) report.eos = tokenizer->id_to_piece(*id);
  } else {
    report.tokenizer_problem = tokenizer.error().message;
  }
  const auto chat = runtime::load_chat_template(checkpoint);
  report.has_template = !chat.ok() || *chat;
  if (!chat.ok()) {
    report.template_problem = chat.error().str();
  } else if (*chat) {
    report.template_sha256 = (*chat)->sha256();
  }
}

Report inspect(const io::Checkpoint& checkpoint) {
  Report report;
  report.path = checkpoint.path().string();
  report.file_kind = checkpoint.kind() == io::Checkpoint::Kind::gguf ? "GGUF" : "safetensors";
  for (const TensorView& tensor : checkpoint.tensors()) {
    TypeSum& sum = report.types[format(tensor.dtype).name];
    const auto elements = static_cast<uint64_t>(tensor.elements());
    ++sum.tensors;
    sum.parameters += elements;
    sum.bytes += tensor.bytes;
    ++report.tensors;
    report.parameters += elements;
    report.bytes += tensor.bytes;
  }
  read_architecture(checkpoint, report);
  read_text_side(checkpoint, report);
  return report;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string out;
  for (const int64_t size : shape) out += (out.empty() ? "" : " x ") + std::to_string(size);
  return out.empty() ? "scalar" : out;
}

template <class T>
std::string list_text(const std::vector<T>& values) {
  std::string out = fmt::format("{} values: ", values.size());
  for (size_t i = 0; i < values.size() && i < 8; ++i) out += fmt::format("{}{}", i ? ", " : "", values[i]);
  return values.size() > 8 ? out + ", ..." : out;
}

std::string value_text(const KeyValues::Value& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          return std::string(v);
        } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, int64_t> || std::is_same_v<T, double>) {
          return fmt::format("{}", v);
        } else {
          return list_text(v);
        }
      },
      value);
}

Json metadata_json(const KeyValues& meta) {
  Json out = Json::object();
  for (const auto& [key, value] : meta) {
    std::visit([&, &name = key](const auto& v) { out[name] = v; }, value);
  }
  return out;
}

Json to_json(const Report& r) {
  Json types = Json::array();
  for (const auto& [name, sum] : r.types) {
    types.push_back({{"type", name}, {"tensors", sum.tensors}, {"parameters", sum.parameters}, {"bytes", sum.bytes}});
  }
  auto text = [](const std::string& value) { return value.empty() ? Json() : Json(value); };
  Json out = {{"path", r.path},
              {"format", r.file_kind},
              {"name", text(r.name)},
              {"architecture", text(r.architecture)},
              {"supported", r.supported},
              {"parameters", r.parameters},
              {"bytes", r.bytes},
              {"tensors", r.tensors},
              {"types", types}};
  for (const auto& [dimension, value] : r.dimensions) out[dimension->json] = value;
  if (r.rope.scaling != models::RopeSpec::Scaling::none) {
    out["rotation"] = {{"scaling", models::scaling_name(r.rope.scaling)}, {"factor", r.rope.factor}};
    if (r.rope_ctx > 0) out["rotation"]["unchanged_up_to_ctx"] = r.rope_ctx;
  }
  out["tokenizer"] =
      r.tokenizer_kind.empty()
          ? Json()
          : Json{{"kind", r.tokenizer_kind}, {"vocab", r.vocab}, {"bos", text(r.bos)}, {"eos", text(r.eos)}};
  out["chat_template"] =
      r.has_template ? Json{{"usable", r.template_problem.empty()}, {"sha256", text(r.template_sha256)}} : Json();
  out["licence"] = text(r.licence);
  return out;
}

void print(const Report& r) {
  const Style style(STDOUT_FILENO);
  auto field = [&](std::string_view label, const std::string& value) {
    if (!value.empty()) out().write(style.dim(fmt::format("{:<14}", label)) + value + "\n");
  };
  field("File", printable(r.path) + " (" + r.file_kind + ")");
  field("Name", printable(r.name));
  field("Architecture", r.architecture.empty()
                            ? "not stated"
                            : printable(r.architecture) + (r.supported ? "" : " (not supported yet)"));
  const double bits = r.parameters ? 8.0 * static_cast<double>(r.bytes) / static_cast<double>(r.parameters) : 0;
  if (r.tensors) {
    field("Parameters", fmt::format("{} ({})", human_count(r.parameters), grouped(r.parameters)));
    field("Weights", fmt::format("{} in {} tensors, {:.2f} bits a parameter", human_bytes(r.bytes), r.tensors, bits));
  } else {
    field("Weights", "none");
  }
  for (const auto& [dimension, value] : r.dimensions) field(dimension->label, grouped(static_cast<uint64_t>(value)));
  if (r.rope.scaling != models::RopeSpec::Scaling::none) {
    std::string rotation = fmt::format("{}, factor {:.6g}", models::scaling_name(r.rope.scaling), r.rope.factor);
    if (r.rope_ctx > 0) rotation += fmt::format("; --ctx over {} changes it, for shorter texts too", r.rope_ctx);
    field("Rotation", rotation);
  }
  std::string tokenizer =
      r.tokenizer_kind.empty() ? r.tokenizer_problem : fmt::format("{}, {} tokens", r.tokenizer_kind, grouped(r.vocab));
  if (!r.bos.empty()) tokenizer += ", begin " + r.bos;
  if (!r.eos.empty()) tokenizer += ", end " + r.eos;
  field("Tokenizer", printable(tokenizer));
  field("Chat template", !r.has_template              ? "none"
                         : r.template_problem.empty() ? "yes, SHA-256 " + r.template_sha256
                                                      : "not usable: " + printable(r.template_problem));
  field("Licence", printable(r.licence));
  if (r.types.empty()) return;

  std::vector<std::pair<std::string, TypeSum>> types(r.types.begin(), r.types.end());
  std::stable_sort(types.begin(), types.end(),
                   [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  Table table({{"TYPE"}, {"TENSORS", true}, {"PARAMETERS", true}, {"SIZE", true}, {"SHARE", true}});
  for (const auto& [name, sum] : types) {
    const double share = r.bytes ? 100.0 * static_cast<double>(sum.bytes) / static_cast<double>(r.bytes) : 0;
    table.add({name, std::to_string(sum.tensors), human_count(sum.parameters), human_bytes(sum.bytes),
               fmt::format("{:.1f}%", share)});
  }
  out().write("\n" + table.str());
}

Result<int> run(const Options& o, const Common& common) {
  MIAO_TRY(const fs::path path, find_model(o.model, common));
  MIAO_TRY(const io::Checkpoint checkpoint, io::Checkpoint::open(path));
  const Report report = inspect(checkpoint);
  if (common.json) {
    Json json = to_json(report);
    if (o.all) json["metadata"] = metadata_json(checkpoint.meta());
    if (o.tensors) {
      Json list = Json::array();
      for (const TensorView& t : checkpoint.tensors()) {
        list.push_back({{"name", t.name}, {"type", format(t.dtype).name}, {"shape", t.shape}, {"bytes", t.bytes}});
      }
      json["tensor_list"] = list;
    }
    out().line(dump_json(json, 2));
    return kOk;
  }
  print(report);
  if (o.all) {
    Table table({{"KEY"}, {"VALUE"}});
    for (const auto& [key, value] : checkpoint.meta()) table.add({printable(key), printable(value_text(value))});
    out().write("\n" + table.str());
  }
  if (o.tensors) {
    Table table({{"TENSOR"}, {"TYPE"}, {"SIZE", true}, {"SHAPE"}});
    for (const TensorView& t : checkpoint.tensors()) {
      table.add({printable(t.name), format(t.dtype).name, human_bytes(t.bytes), shape_text(t.shape)});
    }
    out().write("\n" + table.str());
  }
  return kOk;
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  add_model_argument(app, o->model);
  app.add_flag("--all", o->all, "Show all metadata");
  app.add_flag("--tensors", o->tensors, "List the tensors");
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_inspect = {
    .name = "inspect",
    .group = "Look inside",
    .summary = "Show what a model file holds",
    .details =
        "Reads headers only: architecture, parameters, bytes by number format, context, tokenizer, chat template.",
    .examples =
        "miao inspect smollm2\n"
        "miao inspect model.gguf --all --tensors\n"
        "miao inspect hf:ORG/REPO --json | jq .parameters",
    .json = true,
    .add = add,
};

}  // namespace miao::cli

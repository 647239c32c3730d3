// miao eval --text: decoders on a text.
#include "base/clock.h"
#include "cli/eval/eval.h"
#include "models/spec.h"

namespace miao::cli {

namespace {

constexpr int64_t kWindow = 512;
constexpr int64_t kOwnContext = 4096;  // that an engine takes unasked

Result<std::unique_ptr<runtime::Engine>> open_decoder(const std::filesystem::path& path, runtime::EngineOptions options,
                                                      int64_t window) {
  MIAO_TRY(const auto shape, runtime::model_shape(path));
  if (shape != models::ModelSpec::Shape::decoder) {
    const bool encoder = shape == models::ModelSpec::Shape::encoder;
    return Error{Code::unsupported,
                 encoder ? "is an encoder, which finds no text likely or unlikely; --text is for decoders"
                         : "is an encoder-decoder, which writes answers to inputs; --text is for decoders",
                 path.string()};
  }
  options.ctx = window > kOwnContext ? window : 0;  // a window beyond the model's own context is refused, not stretched
  return open_engine(path, options);
}

}  // namespace

Result<void> eval_text(const EvalFlags& o, const Common& common, const EvalPaths& paths, const std::string& data,
                       measure::QualityReport& report) {
  const measure::TextCase what{.ctx = o.engine.ctx > 0 ? o.engine.ctx : kWindow, .chunks = o.chunks};
  MIAO_TRY(const auto model, open_decoder(paths.model, o.engine.options(), what.ctx));
  std::unique_ptr<runtime::Engine> base;
  if (paths.base) {
    MIAO_TRY(base, open_decoder(*paths.base, o.base_options(), what.ctx));
    report.base = measure::subject_of(o.against, o.base_dtype, *base);
  }
  report.model = measure::subject_of(o.model.ref, o.engine.dtype, *model);
  Measuring measuring(common, "reading", "chunk");
  const double start = now_seconds();
  auto records = measure::measure_text(*model, base.get(), data, what, measuring.run());
  if (!records.ok() && records.error().where == "text") records.error().where = report.data.name;
  if (!records.ok()) return records.error();
  report.seconds = now_seconds() - start;
  report.quality = summarise(*records, o.level / 100);
  return {};
}

}  // namespace miao::cli

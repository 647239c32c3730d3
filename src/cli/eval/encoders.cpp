// miao eval --labels, --texts and --pairs: encoders.
#include "base/clock.h"
#include "cli/eval/eval.h"
#include "cli/interrupt.h"
#include "models/spec.h"

namespace miao::cli {

namespace {

struct Encoders {
  std::unique_ptr<runtime::Encoder> model, base;
};

Result<std::unique_ptr<runtime::Encoder>> open_encoder(const std::filesystem::path& path,
                                                       const runtime::EngineOptions& engine, models::Rows rows) {
  runtime::EncoderOptions options;
  options.threads = engine.threads;
  options.compute = engine.compute;
  options.ctx = engine.ctx;
  options.packs = engine.packs;
  options.cancel = &interrupted();
  options.rows = rows;
  return runtime::Encoder::open(path, options);
}

Result<Encoders> open_both(const EvalFlags& o, const EvalPaths& paths, models::Rows rows,
                           measure::QualityReport& report) {
  Encoders out;
  MIAO_TRY(out.model, open_encoder(paths.model, o.engine.options(), rows));
  report.model = measure::subject_of(o.model.ref, o.engine.dtype, *out.model);
  if (!paths.base) return out;
  MIAO_TRY(out.base, open_encoder(*paths.base, o.base_options(), rows));
  report.base = measure::subject_of(o.against, o.base_dtype, *out.base);
  return out;
}

}  // namespace

Result<void> eval_labels(const EvalFlags& o, const Common& common, const EvalPaths& paths, const std::string& data,
                         measure::QualityReport& report) {
  MIAO_TRY(const auto texts, measure::parse_labelled(data, report.data.name));
  MIAO_TRY(const Encoders encoders, open_both(o, paths, models::Rows::head, report));
  Measuring measuring(common, "classifying", "text");
  const double start = now_seconds();
  MIAO_TRY(const auto records, measure::measure_labels(*encoders.model, encoders.base.get(), texts, measuring.run()));
  report.seconds = now_seconds() - start;
  report.quality = summarise(records, o.level / 100);
  return {};
}

Result<void> eval_texts(const EvalFlags& o, const Common& common, const EvalPaths& paths, const std::string& data,
                        measure::QualityReport& report) {
  MIAO_TRY(const auto texts, measure::parse_texts(data, report.data.name));
  MIAO_TRY(const Encoders encoders, open_both(o, paths, models::Rows::sentence, report));
  Measuring measuring(common, "embedding", "text");
  const double start = now_seconds();
  MIAO_TRY(const auto records,
           measure::measure_vectors(*encoders.model, *encoders.base, texts, o.near, measuring.run()));
  report.seconds = now_seconds() - start;
  report.quality = summarise(records, o.level / 100);
  return {};
}

Result<void> eval_pairs(const EvalFlags& o, const Common& common, const EvalPaths& paths, const std::string& data,
                        measure::QualityReport& report) {
  MIAO_TRY(const auto pairs, measure::parse_pairs(data, report.data.name));
  MIAO_TRY(const Encoders encoders, open_both(o, paths, models::Rows::sentence, report));
  Measuring measuring(common, "embedding", "text");
  const double start = now_seconds();
  MIAO_TRY(const auto records, measure::measure_pairs(*encoders.model, encoders.base.get(), pairs, measuring.run()));
  report.seconds = now_seconds() - start;
  report.quality = summarise(records, o.level / 100);
  return {};
}

}  // namespace miao::cli

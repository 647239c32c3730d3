// miao eval --choices and --speech: models that write.
#include "base/clock.h"
#include "cli/eval/eval.h"
#include "models/spec.h"
#include "runtime/transcribe.h"

namespace miao::cli {

namespace {

struct Engines {
  std::unique_ptr<runtime::Engine> model, base;
};

Result<Engines> open_both(const EvalFlags& o, const EvalPaths& paths, measure::QualityReport& report) {
  Engines out;
  MIAO_TRY(out.model, open_engine(paths.model, o.engine.options()));
  report.model = measure::subject_of(o.model.ref, o.engine.dtype, *out.model);
  if (!paths.base) return out;
  MIAO_TRY(out.base, open_engine(*paths.base, o.base_options()));
  report.base = measure::subject_of(o.against, o.base_dtype, *out.base);
  return out;
}

// What kind of model a file holds, before it is loaded.
Result<void> check_shape(const std::filesystem::path& path, models::ModelSpec::Shape wanted, const char* message) {
  MIAO_TRY(const auto shape, runtime::model_shape(path));
  if (shape == wanted) return {};
  return Error{Code::unsupported, message, path.string()};
}

}  // namespace

Result<void> eval_choices(const EvalFlags& o, const Common& common, const EvalPaths& paths, const std::string& data,
                          measure::QualityReport& report) {
  MIAO_TRY(const auto questions, measure::parse_questions(data, report.data.name));
  constexpr const char* kWhy = "is no decoder; --choices asks how likely a choice is, which decoders tell";
  MIAO_CHECK_OK(check_shape(paths.model, models::ModelSpec::Shape::decoder, kWhy));
  if (paths.base) MIAO_CHECK_OK(check_shape(*paths.base, models::ModelSpec::Shape::decoder, kWhy));
  MIAO_TRY(const Engines engines, open_both(o, paths, report));
  Measuring measuring(common, "answering", "question");
  const double start = now_seconds();
  MIAO_TRY(const auto records,
           measure::measure_choices(*engines.model, engines.base.get(), questions, measuring.run()));
  report.seconds = now_seconds() - start;
  report.quality = summarise(records, o.level / 100);
  return {};
}

Result<void> eval_speech(const EvalFlags& o, const Common& common, const EvalPaths& paths, const std::string& data,
                         measure::QualityReport& report) {
  MIAO_TRY(const auto recordings, measure::parse_recordings(data, o.speech == "-" ? "" : o.speech));
  for (const auto& path : {std::optional(paths.model), paths.base}) {
    if (!path) continue;
    MIAO_TRY(const bool speech, runtime::is_speech_model(*path));
    if (!speech) return Error{Code::unsupported, "is no model of speech", path->string()};
  }
  MIAO_TRY(const Engines engines, open_both(o, paths, report));
  Measuring measuring(common, "listening", "recording");
  const double start = now_seconds();
  MIAO_TRY(const auto records,
           measure::measure_speech(*engines.model, engines.base.get(), recordings, o.language, measuring.run()));
  report.seconds = now_seconds() - start;
  report.quality = summarise(records, o.level / 100);
  return {};
}

}  // namespace miao::cli

#include "python/session.h"

#include <unistd.h>

#include <algorithm>

#include "models/spec.h"

namespace miao::python {

namespace {

using models::Rows;
using Shape = models::ModelSpec::Shape;
using Task = models::HeadSpec::Task;

Kind kind_of(const models::ModelSpec& spec) {
  if (spec.shape == Shape::decoder) return kDecoder;
  if (spec.shape == Shape::encoder_decoder) return spec.encoder->features > 0 ? kSpeech : kTextToText;
  switch (spec.head.task) {
    case Task::sequence:
      return spec.head.outputs > 2 ? kSorter : kRanker;
    case Task::tokens:
      return kTagger;
    case Task::span:
      return kReader;
    default:
      return kEmbedder;
  }
}

}  // namespace

Session::Session(std::filesystem::path path, runtime::EngineOptions options)
    : path_(std::move(path)), options_(std::move(options)), process_(::getpid()) {
  options_.cancel = nullptr;  // each call has its own
}

Result<std::shared_ptr<Session>> Session::open(const std::filesystem::path& path,
                                               const runtime::EngineOptions& options) {
  const std::shared_ptr<Session> out(new Session(path, options));
  Session& s = *out;
  MIAO_TRY(const Shape shape, runtime::model_shape(path));
  if (shape == Shape::encoder) {
    MIAO_CHECK_OK(s.encoder(Rows::head, options.cancel));
  } else {
    MIAO_TRY(s.engine_, runtime::Engine::open(path, options));
  }
  s.kind_ = kind_of(s.spec());
  if (s.kind_ == kDecoder) {
    s.generator_.emplace(*s.engine_);
    s.defaults_ = runtime::generation_defaults(s.checkpoint());
  } else if (s.kind_ == kTextToText) {
    s.search_ = runtime::seq2seq_defaults(*s.engine_);
  }
  return out;
}

Session::~Session() {
  if (process_ == ::getpid()) return;
  (void)engine_.release();  // a forked process has not the threads that it would join
  for (auto& encoder : encoders_) (void)encoder.release();
}

Result<const prep::ChatTemplate*> Session::chat_template() const {
  if (!engine_) return nullptr;
  return engine_->chat_template();
}

Result<runtime::Encoder*> Session::encoder(Rows rows, Cancel cancel) {
  // What has no other head gives sentences.
  if (rows == Rows::sentence && kind_ == kEmbedder) rows = Rows::head;
  auto& place = encoders_[static_cast<size_t>(rows)];
  if (!place) {
    MIAO_TRY(place, runtime::Encoder::open(path_, {.threads = options_.threads,
                                                   .compute = options_.compute,
                                                   .ctx = options_.ctx,
                                                   .rows = rows,
                                                   .isa = options_.isa,
                                                   .cancel = cancel}));
  }
  return place.get();
}

runtime::MemoryReport Session::memory() const {
  runtime::MemoryReport out = engine_ ? engine_->memory() : runtime::MemoryReport();
  for (const auto& encoder : encoders_) {
    if (!encoder) continue;
    const runtime::MemoryReport more = encoder->memory();
    out.weights += more.weights;
    out.embedding = std::max(out.embedding, more.embedding);  // the file is mapped once
    out.buffers += more.buffers;
  }
  return out;
}

}  // namespace miao::python

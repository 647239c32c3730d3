// Engine::encode: inputs through the encoder of an encoder-decoder, several in a pass while there is room.
#include <algorithm>

#include "base/check.h"
#include "runtime/engine/state.h"

namespace miao::runtime {

int64_t Engine::State::encoder_rows(const EncoderInput& input) const {
  const int64_t values = model->spec().encoder->features;
  return static_cast<int64_t>(values > 0 ? input.features.size() / static_cast<size_t>(2 * values) : input.ids.size());
}

int64_t Engine::State::frames_bytes(int64_t input_ctx) const {
  const models::ModelSpec& encoder = *model->spec().encoder;
  const int64_t row = kernels::round_up(encoder.dim, kernels::kLanes) * static_cast<int64_t>(sizeof(float));
  return encoder.features > 0 ? 2 * input_ctx * row : 0;
}

Result<void> Engine::State::check(const EncoderInput& input) const {
  const models::ModelSpec& spec = *model->spec().encoder;
  const int64_t rows = encoder_rows(input), limit = model->encoder_ctx();
  if (spec.features > 0) {
    if (rows == 0 || input.features.size() % static_cast<size_t>(2 * spec.features) != 0) {
      return Error{
          Code::invalid, "expected an even number of frames of " + std::to_string(spec.features) + " values", {}};
    }
    if (rows > limit) {
      return Error{Code::invalid,
                   "it has " + std::to_string(2 * rows) + " frames and the model reads " + std::to_string(2 * limit),
                   {}};
    }
    return {};
  }
  if (rows == 0) return Error{Code::invalid, "it has no tokens", {}};
  if (rows > limit) {
    return Error{Code::invalid,
                 "it has " + std::to_string(rows) + " tokens and the model reads " + std::to_string(limit) +
                     "; shorten it, or raise the context length where the model allows it",
                 {}};
  }
  for (const int32_t id : input.ids) {
    if (id < 0 || id >= spec.vocab) {
      return Error{Code::invalid,
                   "token id " + std::to_string(id) + " is not within 0 to " + std::to_string(spec.vocab - 1),
                   {}};
    }
  }
  return {};
}

// All frames through the first convolution; false when cancelled.
bool Engine::State::convolve(const EncoderInput& input, Cancel cancel) {
  const models::ModelSpec& spec = *model->spec().encoder;
  const graph::PassSlice slice{.row = 0, .rows = 2 * encoder_rows(input), .position = 0, .kv = {}, .memory = {}};
  std::vector<int32_t> all(static_cast<size_t>(slice.rows));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
  graph::Pass pass;
  pass.slices = {&slice, 1};
  pass.features = input.features.data();
  pass.ld_features = spec.features;
  pass.wanted = all;
  pass.logits = frames.as<float>();
  pass.ld_logits = kernels::round_up(spec.dim, kernels::kLanes);
  pass.cancel = cancel;
  return model->convolution()->run(pass);
}

// One pass; false when cancelled.
bool Engine::State::run_encoder(std::span<const EncoderInput> inputs, std::span<Sequence> out, Cancel cancel) {
  ids.clear();
  slices.clear();
  int64_t row = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const int64_t rows = encoder_rows(inputs[i]);
    slices.push_back({row, rows, 0, out[i].pages(), {}, 0});
    ids.insert(ids.end(), inputs[i].ids.begin(), inputs[i].ids.end());
    row += rows;
  }
  graph::Pass pass;
  pass.slices = slices;
  pass.ids = ids;
  pass.cancel = cancel;
  bool done = true;
  if (model->convolution()) {
    done = convolve(inputs[0], cancel);
    pass.features = frames.as<float>();
    pass.ld_features = kernels::round_up(model->spec().encoder->dim, kernels::kLanes);
  }
  done = done && model->encoder()->run(pass);
  for (size_t i = 0; done && i < inputs.size(); ++i) out[i].advance(slices[i].rows);
  ids.clear();
  slices.clear();
  return done;
}

Result<void> Engine::check_input(const EncoderInput& input) const {
  if (!state_->memory) return Error{Code::unsupported, "this model is a decoder: it has no encoder", {}};
  return state_->check(input);
}

Result<std::vector<Sequence>> Engine::encode(std::span<const EncoderInput> inputs, Cancel cancel) {
  State& s = *state_;
  if (!s.memory) return Error{Code::unsupported, "this model is a decoder: it has no encoder", {}};
  MIAO_CHECK(s.can_run);
  std::vector<Sequence> out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (const auto good = s.check(inputs[i]); !good.ok()) {
      return Error(good.error()).at("input " + std::to_string(i + 1));
    }
    out.emplace_back(*s.memory);
    MIAO_CHECK_OK(out.back().reserve(s.encoder_rows(inputs[i])));
  }
  const bool audio = s.model->convolution() != nullptr;
  if (audio && s.frames.size() == 0) {
    MIAO_TRY(s.frames, Memory::allocate(static_cast<size_t>(s.frames_bytes(s.model->encoder_ctx()))));
  }
  const int64_t room = std::max(s.chunk, s.model->encoder_ctx());
  for (size_t first = 0; first < inputs.size();) {
    size_t last = first + 1;
    int64_t rows = s.encoder_rows(inputs[first]);
    for (; !audio && last < inputs.size() && rows + s.encoder_rows(inputs[last]) <= room; ++last) {
      rows += s.encoder_rows(inputs[last]);
    }
    const size_t count = last - first;
    if (!s.run_encoder(inputs.subspan(first, count), std::span(out).subspan(first, count), cancel)) {
      return Error{Code::cancelled, "interrupted", {}};
    }
    first = last;
  }
  return out;
}

}  // namespace miao::runtime

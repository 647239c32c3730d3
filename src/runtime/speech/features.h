// SpeechFeatures: the log-mel features of a recording, window by window, the same numbers as those of the whole: what
// is too quiet is cut off at the loudest frame of all, which a first reading finds.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "prep/mel.h"
#include "runtime/speech/recording.h"

namespace miao::runtime {

class SpeechFeatures {
 public:
  static constexpr int64_t kWindow = prep::MelSpectrogram::kFrames;  // frames of 10 ms

  // Reads the recording through. Errors: those of the file, cancelled. The pool has to outlive it.
  static Result<SpeechFeatures> of(Recording recording, int bins, ThreadPool& pool,
                                   const std::atomic<bool>* cancel = nullptr);

  int64_t samples() const { return samples_; }
  int64_t frames() const { return samples_ / static_cast<int64_t>(prep::MelSpectrogram::kHop); }

  // (kWindow, bins) from frame `first` on, zeros behind the last; valid until the next call. `first` never decreases.
  Result<std::span<const float>> window(int64_t first);
  // Whether the last window holds nothing but zeros.
  bool silent() const { return silent_; }

 private:
  SpeechFeatures(Recording recording, int bins, ThreadPool& pool)
      : recording_(std::move(recording)), mel_(bins), pool_(&pool) {}

  struct Piece {
    std::vector<float> logarithms;  // (bins, frames)
    int64_t samples = 0;            // of the recording, up to the last that was asked for
    bool end = false;               // there are no more
  };
  Result<Piece> piece(int64_t first, int64_t frames);

  Recording recording_;
  prep::MelSpectrogram mel_;
  ThreadPool* pool_;
  int64_t samples_ = 0;
  float loudest_ = prep::MelSpectrogram::kSilence;
  std::vector<float> window_;
  bool silent_ = false;
};

}  // namespace miao::runtime

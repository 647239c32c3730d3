// Audio files as a model of speech takes them: mono, 16,000 samples a second, float32 within about -1..1.
//
//   MIAO_TRY(std::vector<float> samples, read_audio("talk.flac"));
//
// Read are WAV (PCM, float, A-law, mu-law, ADPCM), FLAC, Ogg (Vorbis, Opus) and MP3, told apart by content. Channels
// are averaged; other rates are resampled with soxr, whose error lies 120 dB below the signal.
//
// Files come from anywhere: they are decoded piece by piece, and the samples that arrive are counted, not those that a
// header promises. What is wrong comes back as an Error that names the file and the mend. A file that was cut off is
// refused, not transcribed to where it ends.
#pragma once

#include <filesystem>
#include <vector>

#include "base/result.h"

namespace miao::prep {

constexpr int kAudioRate = 16000;

struct AudioLimits {
  double max_seconds = 4 * 3600;  // 920 MB of samples
};

// Errors: not_found, invalid (no audio, or over a limit), unsupported (a format or rate that is not read), corrupt.
Result<std::vector<float>> read_audio(const std::filesystem::path& path, const AudioLimits& limits = {});

}  // namespace miao::prep

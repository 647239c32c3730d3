// AudioDecoder: the samples of an open audio file, channels averaged, at the file's own rate.
//
// Two libraries: libsndfile for WAV, FLAC and Ogg, libmpg123 for MP3. libsndfile reads MP3 too (through libmpg123), but
// only up to a length that it guesses from the first frames, which loses the rest of a file without a Xing header.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace miao::prep {

class AudioDecoder {
 public:
  virtual ~AudioDecoder() = default;
  virtual int rate() const = 0;
  // Samples written to `out`; 0 when the file has ended as it should, an Error when it ends early or is damaged.
  virtual Result<size_t> read(std::span<float> out) = 0;
};

// `fd` is a regular file, which stays the caller's and open; `path` is used in messages.
Result<std::unique_ptr<AudioDecoder>> open_sndfile(int fd, const std::string& path);
Result<std::unique_ptr<AudioDecoder>> open_mp3(int fd, const std::string& path);

// Bytes of a file from an offset on, fewer at its end and none after a failure to read.
size_t read_at(int fd, uint64_t offset, std::span<unsigned char> out);
// Bytes of the ID3v2 tag in front of the audio, 0 when there is none.
uint64_t id3_bytes(int fd);

// The mends of files that ended early and of those that cannot be read.
constexpr const char* kCutOff = ": the file is incomplete, fetch or record it again";
constexpr const char* kConvert = "convert it with: ffmpeg -i FILE -ar 16000 -ac 1 out.wav";

}  // namespace miao::prep

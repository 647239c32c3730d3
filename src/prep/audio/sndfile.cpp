// WAV, FLAC and Ogg through libsndfile.
//
// It takes a WAV whose data chunk is cut off for a shorter one, so that chunk is held against the size of the file
// here. FLAC tells its length, and an Ogg stream without its last page has none: both show at the end of reading.
#include <sndfile.h>
#include <sys/stat.h>
#include <algorithm>
#include <cstring>
#include <vector>

#include "prep/audio/decoder.h"

namespace miao::prep {

namespace {

constexpr int kMaxChannels = 64;
constexpr size_t kBlock = 4096;  // frames a read

class SndfileDecoder : public AudioDecoder {
 public:
  SndfileDecoder(SNDFILE* file, const SF_INFO& info, const std::string& path)
      : file_(file), info_(info), path_(path), frames_(kBlock * static_cast<size_t>(info.channels)) {}
  ~SndfileDecoder() override { sf_close(file_); }

  int rate() const override { return info_.samplerate; }

  Result<size_t> read(std::span<float> out) override {
    const size_t wanted = std::min(out.size(), kBlock), channels = static_cast<size_t>(info_.channels);
    const sf_count_t got = sf_readf_float(file_, frames_.data(), static_cast<sf_count_t>(wanted));
    if (got <= 0) return end();
    read_ += got;
    const float share = 1.0f / static_cast<float>(channels);
    for (size_t i = 0; i < static_cast<size_t>(got); ++i) {
      float sum = 0;
      for (size_t c = 0; c < channels; ++c) sum += frames_[i * channels + c];
      out[i] = sum * share;
    }
    return static_cast<size_t>(got);
  }

 private:
  Result<size_t> end() {
    const std::string where = "after " + std::to_string(read_ / info_.samplerate) + " s";
    if (sf_error(file_) != SF_ERR_NO_ERROR) {
      return Error{Code::corrupt, "cannot be decoded " + where + " (" + sf_strerror(file_) + ")" + kCutOff, path_};
    }
    if (info_.frames == SF_COUNT_MAX)
      return Error{Code::corrupt, "ends " + where + " without a last page" + kCutOff + ", or " + kConvert, path_};
    if (read_ < info_.frames) {
      return Error{
          Code::corrupt,
          "ends " + where + ", at sample " + std::to_string(read_) + " of " + std::to_string(info_.frames) + kCutOff,
          path_};
    }
    return size_t{0};
  }

  SNDFILE* file_;
  SF_INFO info_;
  std::string path_;
  std::vector<float> frames_;  // interleaved channels
  sf_count_t read_ = 0;
};

// "RIFF" u32 size "WAVE", then chunks of a name, u32 size, bytes and a pad to even.
Result<void> check_wav(int fd, const std::string& path) {
  constexpr uint32_t kStreamed = 0x7fff0000;  // sizes from here on stand for "not known yet"
  unsigned char head[12];
  if (read_at(fd, 0, head) < 12 || std::memcmp(head, "RIFF", 4) != 0) return {};
  struct stat info {};
  if (::fstat(fd, &info) != 0) return {};
  const auto size = static_cast<uint64_t>(info.st_size);
  uint64_t at = 12;
  for (int i = 0; i < 1000; ++i) {
    unsigned char chunk[8];
    if (read_at(fd, at, chunk) < 8) break;
    uint32_t bytes = 0;
    std::memcpy(&bytes, chunk + 4, 4);
    at += 8;
    if (std::memcmp(chunk, "data", 4) == 0) {
      if (bytes >= kStreamed || bytes <= size - at) return {};
      return Error{Code::corrupt,
                   "has only " + std::to_string(size - at) + " of the " + std::to_string(bytes) +
                       " bytes of its samples" + kCutOff,
                   path};
    }
    at += uint64_t{bytes} + bytes % 2;
  }
  return Error{Code::corrupt, std::string("has no data chunk") + kCutOff, path};
}

// Pages of "OggS", u8 version, u8 flags (2: the first of its stream), 20 bytes, u8 n, n lengths that add up to the
// body.
Result<void> check_ogg(int fd, const std::string& path) {
  constexpr size_t kHead = 27;
  bool begun = false;  // past the first pages of the streams that run side by side
  uint64_t at = 0;
  for (;;) {
    unsigned char page[kHead + 255];
    const size_t got = read_at(fd, at, page);
    if (got < kHead || std::memcmp(page, "OggS", 4) != 0 || got < kHead + page[26]) return {};
    const bool first = (page[5] & 2) != 0;
    if (first && begun) {
      return Error{Code::unsupported,
                   std::string("holds several streams one after another, of which miao reads one; ") + kConvert, path};
    }
    begun |= !first;
    at += kHead + page[26];
    for (size_t i = 0; i < page[26]; ++i) at += page[kHead + i];
  }
}

}  // namespace

Result<std::unique_ptr<AudioDecoder>> open_sndfile(int fd, const std::string& path) {
  MIAO_CHECK_OK(check_wav(fd, path));
  MIAO_CHECK_OK(check_ogg(fd, path));
  SF_INFO info{};
  SNDFILE* file = sf_open_fd(fd, SFM_READ, &info, /*close_desc=*/SF_FALSE);
  if (!file) {
    return Error{Code::corrupt,
                 std::string("is damaged, incomplete or in an encoding that miao does not read (") +
                     sf_strerror(nullptr) + "): fetch or record it again, or " + kConvert,
                 path};
  }
  if (info.channels < 1 || info.channels > kMaxChannels) {
    sf_close(file);
    return Error{Code::unsupported,
                 "has " + std::to_string(info.channels) + " channels, not 1 to " + std::to_string(kMaxChannels) + "; " +
                     kConvert,
                 path};
  }
  return std::unique_ptr<AudioDecoder>(std::make_unique<SndfileDecoder>(file, info, path));
}

}  // namespace miao::prep

// MP3 through libmpg123, which averages the channels, takes off the encoder's padding and finds its way past tags.
//
// An MP3 has no length of its own; encoders leave one in the first frame, in place of samples:
//
//   4 bytes frame header | 9, 17 or 32 bytes, empty | "Xing" or "Info" | u32 flags | u32 frames when bit 0 is set | ...
#include <mpg123.h>
#include <cstring>
#include <optional>

#include "prep/audio/decoder.h"

namespace miao::prep {

namespace {

uint32_t big_endian(const unsigned char* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | p[3];
}

std::optional<uint32_t> declared_frames(int fd) {
  unsigned char head[48];
  if (read_at(fd, id3_bytes(fd), head) < sizeof head) return std::nullopt;
  const bool mpeg1 = (head[1] & 0x08) != 0, mono = (head[3] & 0xc0) == 0xc0;
  const unsigned char* tag = head + 4 + (mpeg1 ? (mono ? 17 : 32) : (mono ? 9 : 17));
  if (std::memcmp(tag, "Xing", 4) != 0 && std::memcmp(tag, "Info", 4) != 0) return std::nullopt;
  if ((big_endian(tag + 4) & 1) == 0) return std::nullopt;
  return big_endian(tag + 8);
}

class Mp3Decoder : public AudioDecoder {
 public:
  Mp3Decoder(mpg123_handle* handle, int rate, std::optional<uint32_t> frames, const std::string& path)
      : handle_(handle), rate_(rate), frames_(frames), path_(path) {}
  ~Mp3Decoder() override { mpg123_delete(handle_); }

  int rate() const override { return rate_; }

  Result<size_t> read(std::span<float> out) override {
    for (;;) {
      size_t bytes = 0;
      const int state = mpg123_read(handle_, reinterpret_cast<unsigned char*>(out.data()), out.size_bytes(), &bytes);
      read_ += bytes / sizeof(float);
      if (bytes > 0) return bytes / sizeof(float);
      if (state == MPG123_DONE) return end();
      if (state == MPG123_NEW_FORMAT) {
        MIAO_CHECK_OK(same_rate());
      } else if (state != MPG123_OK) {
        return Error{Code::corrupt, "cannot be decoded " + where() + " (" + mpg123_strerror(handle_) + ")" + kCutOff,
                     path_};
      }
    }
  }

 private:
  std::string where() const { return "after " + std::to_string(read_ / static_cast<uint64_t>(rate_)) + " s"; }

  Result<void> same_rate() {
    long rate = 0;
    int channels = 0, encoding = 0;
    mpg123_getformat(handle_, &rate, &channels, &encoding);
    if (rate == rate_) return {};
    return Error{Code::unsupported,
                 "changes its rate from " + std::to_string(rate_) + " to " + std::to_string(rate) + " Hz " + where() +
                     "; " + kConvert,
                 path_};
  }

  Result<size_t> end() {
    const off_t decoded = mpg123_tellframe(handle_);
    if (!frames_ || decoded >= static_cast<off_t>(*frames_)) return size_t{0};
    return Error{
        Code::corrupt,
        "ends " + where() + ", at frame " + std::to_string(decoded) + " of " + std::to_string(*frames_) + kCutOff,
        path_};
  }

  mpg123_handle* handle_;
  int rate_;
  std::optional<uint32_t> frames_;
  std::string path_;
  uint64_t read_ = 0;  // samples
};

}  // namespace

Result<std::unique_ptr<AudioDecoder>> open_mp3(int fd, const std::string& path) {
  mpg123_init();  // fills tables in libraries before 1.27
  int error = MPG123_OK;
  mpg123_handle* handle = mpg123_new(nullptr, &error);
  if (!handle) return Error{Code::out_of_memory, std::string("no MP3 decoder: ") + mpg123_plain_strerror(error), path};
  long rate = 0;
  int channels = 0, encoding = 0;
  if (mpg123_param(handle, MPG123_ADD_FLAGS, MPG123_QUIET | MPG123_FORCE_FLOAT | MPG123_MONO_MIX, 0) != MPG123_OK ||
      mpg123_open_fd(handle, fd) != MPG123_OK || mpg123_getformat(handle, &rate, &channels, &encoding) != MPG123_OK) {
    mpg123_delete(handle);
    return Error{Code::corrupt, std::string("begins like an MP3 but has no whole frame") + kCutOff, path};
  }
  return std::unique_ptr<AudioDecoder>(
      std::make_unique<Mp3Decoder>(handle, static_cast<int>(rate), declared_frames(fd), path));
}

}  // namespace miao::prep

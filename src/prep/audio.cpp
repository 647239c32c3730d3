// From a path to samples: what kind of file it is, the loop of decoding and resampling, and the limits.
#include "prep/audio.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>

#include "prep/audio/decoder.h"
#include "prep/audio/resampler.h"

namespace miao::prep {

namespace {

using namespace std::string_view_literals;

constexpr int kMinRate = 1000, kMaxRate = 768000;  // Hz
constexpr size_t kBlock = 4096;                    // samples a step
constexpr float kLoudest = 1e10f;                  // full scale is 1, or 2^31 in files of careless programs

struct Fd {
  explicit Fd(int opened) : fd(opened) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int fd;
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
};

// Files that people take for audio, and are, but that no decoder here reads.
struct Foreign {
  size_t offset;
  std::string_view bytes;
  const char* name;
};
constexpr Foreign kForeign[] = {
    {4, "ftyp"sv, "an MP4 or M4A file"}, {0, "\x1a\x45\xdf\xa3"sv, "a WebM or Matroska file"},
    {0, "FORM"sv, "an AIFF file"},       {0, "RF64"sv, "an RF64 file"},
    {0, "caff"sv, "a CAF file"},         {0, "#!AMR"sv, "an AMR file"},
    {0, ".snd"sv, "an AU file"},         {0, "\xff\xf1"sv, "an AAC file"},
    {0, "\xff\xf9"sv, "an AAC file"},    {0, "\x30\x26\xb2\x75"sv, "a WMA file"},
};

// Eleven set bits and a layer: the first frame of an MP3 (or of MPEG layers 1 and 2, which libmpg123 reads as well).
bool is_mpeg_frame(std::string_view head) {
  if (head.size() < 2) return false;
  const auto first = static_cast<unsigned char>(head[0]), second = static_cast<unsigned char>(head[1]);
  return first == 0xff && (second & 0xe0) == 0xe0 && (second & 0x06) != 0;
}

Result<std::unique_ptr<AudioDecoder>> open_decoder(int fd, const std::string& path) {
  unsigned char bytes[16];
  const uint64_t tag = id3_bytes(fd);
  const size_t size = read_at(fd, tag, bytes);
  const std::string_view head(reinterpret_cast<const char*>(bytes), size);
  if (head.starts_with("RIFF") || head.starts_with("fLaC") || head.starts_with("OggS")) return open_sndfile(fd, path);
  for (const Foreign& f : kForeign) {
    if (head.size() < f.offset || !head.substr(f.offset).starts_with(f.bytes)) continue;
    return Error{Code::unsupported, std::string("is ") + f.name + ", which miao does not read; " + kConvert, path};
  }
  if (is_mpeg_frame(head) || tag > 0) return open_mp3(fd, path);
  return Error{Code::invalid, "is no audio file that miao reads: give a WAV, FLAC, Ogg (Vorbis, Opus) or MP3 file",
               path};
}

Result<Resampler> resampler_from(int rate) {
  if (rate >= kMinRate && rate <= kMaxRate) return Resampler::create(rate);
  return Error{Code::unsupported,
               "has a rate of " + std::to_string(rate) + " Hz, not " + std::to_string(kMinRate) + " to " +
                   std::to_string(kMaxRate) + "; " + kConvert,
               {}};
}

bool is_sample(float value) { return std::abs(value) <= kLoudest; }  // not so of NaN

}  // namespace

size_t read_at(int fd, uint64_t offset, std::span<unsigned char> out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

// "ID3" u8 version u8 revision u8 flags, then the size of the rest in four bytes of seven bits.
uint64_t id3_bytes(int fd) {
  unsigned char h[10];
  if (read_at(fd, 0, h) < sizeof h || std::memcmp(h, "ID3", 3) != 0) return 0;
  const bool footer = (h[5] & 0x10) != 0;
  return 10u +
         (uint64_t{h[6] & 0x7fu} << 21 | uint64_t{h[7] & 0x7fu} << 14 | uint64_t{h[8] & 0x7fu} << 7 | (h[9] & 0x7fu)) +
         (footer ? 10u : 0u);
}

// Members are in the order in which they are made: later ones use earlier ones.
struct AudioReader::State {
  State(std::string name, int opened, double seconds) : path(std::move(name)), in(opened), max_seconds(seconds) {}

  Result<void> check(std::span<const float> samples) const;

  std::string path;
  Fd in;
  std::unique_ptr<AudioDecoder> decoder;
  std::optional<Resampler> resampler;
  double max_seconds;
  uint64_t decoded = 0;
  bool any = false;
};

// Samples that have been counted in `decoded`.
Result<void> AudioReader::State::check(std::span<const float> samples) const {
  const int rate = decoder->rate();
  if (static_cast<double>(decoded) > max_seconds * rate) {
    return Error{Code::invalid,
                 "is longer than the limit of " + std::to_string(std::llround(max_seconds)) + " s; cut it into parts",
                 path};
  }
  for (size_t i = 0; i < samples.size(); ++i) {
    if (is_sample(samples[i])) continue;
    return Error{Code::corrupt,
                 "has a sample that is not a number, or beyond 1e10, " +
                     std::to_string((decoded - samples.size() + i) / static_cast<uint64_t>(rate)) +
                     " s in; record or convert it again",
                 path};
  }
  return {};
}

AudioReader::AudioReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
AudioReader::AudioReader(AudioReader&&) noexcept = default;
AudioReader& AudioReader::operator=(AudioReader&&) noexcept = default;
AudioReader::~AudioReader() = default;

Result<AudioReader> AudioReader::open(const std::filesystem::path& file, const AudioLimits& limits) {
  const std::string path = file.string();
  // O_NONBLOCK: a pipe without a writer is refused, not waited for.
  auto state =
      std::make_unique<State>(path, ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK), limits.max_seconds);
  const Fd& in = state->in;
  if (in.fd < 0) {
    if (errno == ENOENT) return Error{Code::not_found, "does not exist; give an audio file", path};
    return Error{Code::io, std::string("cannot be opened: ") + std::strerror(errno), path};
  }
  struct stat info {};
  if (::fstat(in.fd, &info) != 0) return Error{Code::io, std::string("cannot be read: ") + std::strerror(errno), path};
  if (S_ISDIR(info.st_mode)) return Error{Code::invalid, "is a folder; give an audio file", path};
  if (!S_ISREG(info.st_mode)) return Error{Code::invalid, "is not a regular file; save the audio to one", path};
  if (info.st_size == 0) return Error{Code::invalid, "is empty; fetch or record it again", path};

  MIAO_TRY(state->decoder, open_decoder(in.fd, path));
  auto resampler = resampler_from(state->decoder->rate());
  if (!resampler.ok()) return std::move(resampler.error()).at(path);

  state->resampler.emplace(std::move(*resampler));
  return AudioReader(std::move(state));
}

Result<bool> AudioReader::read(std::vector<float>& out) {
  State& s = *state_;
  const size_t before = out.size();
  float block[kBlock];
  MIAO_TRY(const size_t count, s.decoder->read(block));
  const std::span<const float> samples(block, count);
  s.decoded += count;
  MIAO_CHECK_OK(s.check(samples));
  auto done = count > 0 ? s.resampler->push(samples, out) : s.resampler->finish(out);
  if (!done.ok()) return std::move(done.error()).at(s.path);
  s.any |= out.size() > before;
  if (count == 0 && !s.any) return Error{Code::invalid, "holds no samples; fetch or record it again", s.path};
  return count > 0;
}

Result<std::vector<float>> read_audio(const std::filesystem::path& path, const AudioLimits& limits) {
  MIAO_TRY(AudioReader reader, AudioReader::open(path, limits));
  std::vector<float> out;
  for (bool more = true; more;) {
    MIAO_TRY(more, reader.read(out));
  }
  return out;
}

Result<std::vector<float>> resample(std::span<const float> samples, int rate) {
  MIAO_TRY(Resampler resampler, resampler_from(rate));
  if (const auto odd = std::ranges::find_if_not(samples, is_sample); odd != samples.end()) {
    return Error{Code::invalid,
                 "sample " + std::to_string(odd - samples.begin()) +
                     " is not a number, or beyond 1e10; record or convert the audio again",
                 {}};
  }
  std::vector<float> out;
  MIAO_CHECK_OK(resampler.push(samples, out));
  MIAO_CHECK_OK(resampler.finish(out));
  return out;
}

}  // namespace miao::prep

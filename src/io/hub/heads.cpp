// See heads.h. A server may answer a range with all of the file: what is longer than the range is then not read.
#include "io/hub/heads.h"

#include <algorithm>

#include "io/files/format.h"
#include "io/hub/download.h"

namespace miao::io {

namespace {

constexpr uint64_t kFirst = uint64_t{256} << 10;  // holds most headers of safetensors files
constexpr uint64_t kMost = uint64_t{512} << 20;
constexpr uint64_t kMostText = uint64_t{64} << 20;

class Head {
 public:
  Head(Http& http, const HeadRequest& request, const ResolveOptions& options)
      : http_(http), r_(request), options_(options), size_(request.size) {}

  Result<Checkpoint::Head> fetch() {
    const uint64_t most = r_.whole ? kMostText : kMost;
    for (uint64_t need = r_.whole ? kMostText : kFirst;;) {
      if (size_ > 0) need = std::min(need, size_);
      MIAO_CHECK_OK(read_until(need));
      if (r_.whole) return Checkpoint::Head{r_.name, std::move(bytes_), size_};
      MIAO_TRY(const uint64_t more, header_bytes(std::as_bytes(std::span(bytes_)), size_, r_.place));
      if (more <= bytes_.size()) return Checkpoint::Head{r_.name, std::move(bytes_), size_};
      if (more > most) return too_large("its header", more, most);
      need = std::min(std::max(more, 4 * bytes_.size()), most);  // a header of many keys tells its end step by step
    }
  }

 private:
  Error too_large(const char* what, uint64_t bytes, uint64_t most) const {
    return {Code::corrupt,
            std::string(what) + " has " + std::to_string(bytes) + " bytes or more, and " + std::to_string(most) +
                " are read at most: fetch the model first (miao pull)",
            r_.place};
  }

  // Bytes [bytes_.size(), end) of the file.
  Result<void> read_until(uint64_t end) {
    const uint64_t begin = bytes_.size();
    if (begin >= end) return {};
    HttpSink sink;
    sink.begin = [&](const HttpResponse& response) {
      bytes_.resize(begin);
      return check(response, begin, end);
    };
    sink.data = [&](std::string_view piece) -> Result<void> {
      if (bytes_.size() + piece.size() > end_) {
        return Error{Code::io, "the server sent more than it was asked for", r_.place};
      }
      bytes_ += piece;
      return {};
    };
    const HttpRequest request{.url = r_.url,
                              .headers = {"Accept-Encoding: identity",
                                          "Range: bytes=" + std::to_string(begin) + "-" + std::to_string(end - 1)},
                              .bearer = r_.bearer,
                              .sink = &sink};
    MIAO_TRY(const HttpResponse response, io::fetch(http_, request, options_));
    if (response.status == 416 && begin == 0) return Error{Code::corrupt, "is empty: fetch it again", r_.place};
    if (response.status != 200 && response.status != 206) return r_.explain(response);
    if (size_ == 0) size_ = bytes_.size();
    if (bytes_.size() < std::min(end_, size_)) {
      return Error{Code::io,
                   "the connection ended after " + std::to_string(bytes_.size()) + " of " + std::to_string(end_) +
                       " bytes; try again",
                   r_.place};
    }
    return {};
  }

  // What the answer is, before its body: sets size_ and end_.
  Result<void> check(const HttpResponse& response, uint64_t begin, uint64_t end) {
    uint64_t total = 0, first = 0;
    if (response.status == 206) {
      const auto range = parse_content_range(response.header("content-range"));
      if (!range || range->begin != begin) {
        return Error{Code::io, "the server sent another range than asked for", r_.place};
      }
      if (range->total == 0 && size_ == 0) {
        return Error{Code::unsupported, "the server does not say how large the file is: fetch it first (miao pull)",
                     r_.place};
      }
      first = begin;
      total = range->total ? range->total : size_;
    } else {
      total = std::strtoull(response.header("content-length").c_str(), nullptr, 10);
      const bool text = r_.whole && total == 0 && response.delimited;  // made on the fly: its end is seen
      if (text) {
        total = size_;
      } else if (total == 0 || total > end || begin > 0) {
        return Error{Code::unsupported,
                     "the server sends no parts of files (it ignores Range), so that the headers alone cannot be "
                     "read: fetch it first (miao pull)",
                     r_.place};
      }
    }
    if (r_.whole && total > kMostText) return too_large("the file", total, kMostText);
    if (size_ > 0 && total != size_) {
      return Error{Code::corrupt,
                   "has " + std::to_string(total) + " bytes at the server, and " + std::to_string(size_) +
                       " were expected: it has changed, try again",
                   r_.place};
    }
    const std::string etag = response.header("etag");
    if (first > 0 && etag != etag_) {
      return Error{Code::corrupt, "has changed at the server while it was read; try again", r_.place};
    }
    etag_ = etag;
    size_ = total;
    end_ = total > 0 ? std::min(end, total) : end;
    return {};
  }

  Http& http_;
  const HeadRequest& r_;
  const ResolveOptions& options_;
  std::string bytes_, etag_;
  uint64_t size_ = 0;  // of the file; 0 = not known yet
  uint64_t end_ = 0;   // of what the answer in hand sends
};

}  // namespace

Result<Checkpoint::Head> fetch_head(Http& http, const HeadRequest& request, const ResolveOptions& options) {
  return Head(http, request, options).fetch();
}

}  // namespace miao::io

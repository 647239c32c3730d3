// libcurl's easy interface; see http.h for what is allowed to travel where.
#include "io/hub/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <mutex>
#include <optional>

#include "base/check.h"
#include "base/env.h"

namespace miao::io {

namespace {

constexpr int kMaxRedirects = 10;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

struct UrlCloser {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlCloser>;

UrlHandle parse_url(const std::string& url) {
  UrlHandle handle(curl_url());
  if (!handle || curl_url_set(handle.get(), CURLUPART_URL, url.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
    handle.reset();
  }
  return handle;
}

std::string part(CURLU* url, CURLUPart what, unsigned int flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, what, &text, flags) != CURLUE_OK) return {};
  std::string out(text);
  curl_free(text);
  return out;
}

// What one transfer collects. The sink's error is kept here, since libcurl only knows "write failed".
struct Transfer {
  const HttpRequest* request;
  const std::atomic<bool>* cancel;
  HttpResponse response;
  std::optional<Error> error;
  bool began = false, one_connection = false;  // HTTP/1: only a length or chunks mark the end of a body

  bool wants_sink() const { return request->sink && (response.status == 200 || response.status == 206); }
  bool begin() {
    if (began || !wants_sink()) return true;
    began = true;
    const bool chunked = lower(response.header("transfer-encoding")).ends_with("chunked");
    response.delimited = !one_connection || chunked || response.headers.contains("content-length");
    if (auto r = request->sink->begin(response); !r.ok()) {
      error = std::move(r.error());
      return false;
    }
    return true;
  }
};

size_t on_header(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  std::string_view line = trim({data, size});
  if (line.starts_with("HTTP/")) {  // a new answer begins (after 100 Continue or a proxy's own)
    transfer.response.headers.clear();
    transfer.one_connection = line.starts_with("HTTP/1");
    const size_t space = line.find(' ');
    transfer.response.status = space == std::string_view::npos ? 0 : std::atol(std::string(line.substr(space)).c_str());
    return size;
  }
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos && transfer.response.headers.size() < 256) {
    transfer.response.headers[lower(line.substr(0, colon))] = trim(line.substr(colon + 1));
  }
  return size;
}

size_t on_body(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (transfer.wants_sink()) {
    if (!transfer.begin()) return 0;
    if (auto r = transfer.request->sink->data({data, size}); !r.ok()) {
      transfer.error = std::move(r.error());
      return 0;
    }
    return size;
  }
  // Bodies of errors and redirects are kept short when the wanted body goes to a sink.
  const size_t limit = transfer.request->sink ? size_t{64} << 10 : transfer.request->max_body;
  if (transfer.response.body.size() + size > limit) {
    transfer.error = Error{Code::io, "the answer is larger than " + std::to_string(limit) + " bytes", ""};
    return 0;
  }
  transfer.response.body.append(data, size);
  return size;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto* cancel = static_cast<Transfer*>(user)->cancel;
  return cancel && cancel->load(std::memory_order_relaxed) ? 1 : 0;
}

// Failures that a later try may not meet again.
bool is_passing(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

void start_curl() {
  static std::once_flag once;
  std::call_once(once, [] { MIAO_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
}

}  // namespace

struct Http::Curl {
  CURL* easy = nullptr;
  ~Curl() {
    if (easy) curl_easy_cleanup(easy);
  }
};

std::string HttpResponse::header(const std::string& name) const {
  const auto it = headers.find(name);
  return it == headers.end() ? std::string() : it->second;
}

Http::Http(HttpOptions options) : options_(std::move(options)), curl_(std::make_unique<Curl>()) {
  start_curl();
  curl_->easy = curl_easy_init();
  MIAO_CHECK(curl_->easy);
  if (options_.ca_file.empty()) {
    for (const char* name : {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}) {
      if (options_.ca_file.empty()) options_.ca_file = env(name).value_or("");
    }
  }
}

Http::~Http() = default;

Result<HttpResponse> Http::send(const HttpRequest& request) {
  const std::string origin = url_origin(request.url);
  if (origin.empty()) return Error{Code::invalid, "not a URL", url_for_people(request.url)};
  std::string url = request.url;
  std::optional<std::map<std::string, std::string>> first_headers;
  for (int hops = 0; hops <= kMaxRedirects; ++hops) {
    MIAO_TRY(HttpResponse response, hop(request, url, url_origin(url) == origin));
    if (!first_headers) first_headers = response.headers;
    response.url = url;
    response.first_headers = *first_headers;
    const std::string location = response.header("location");
    if (response.status < 300 || response.status > 308 || response.status == 304 || location.empty()) return response;
    MIAO_TRY(std::string next, join_url(url, location));
    const std::string next_origin = url_origin(next);
    if (!request.leave_origin && next_origin != origin) return response;
    if (!next.starts_with("https://") && !(next.starts_with("http://") && url.starts_with("http://"))) {
      return Error{Code::io, "refused a redirect to " + url_for_people(next) + ": it is not https",
                   url_for_people(request.url)};
    }
    url = next;
  }
  return Error{Code::io, "more than " + std::to_string(kMaxRedirects) + " redirects", url_for_people(request.url)};
}

Result<HttpResponse> Http::hop(const HttpRequest& request, const std::string& url, bool same_origin) {
  CURL* easy = curl_->easy;
  curl_easy_reset(easy);  // keeps connections
  Transfer transfer{.request = &request, .cancel = options_.cancel, .response = {}, .error = {}};

  curl_slist* list = nullptr;
  for (const std::string& header : request.headers) list = curl_slist_append(list, header.c_str());
  if (same_origin && !request.bearer.empty()) {
    list = curl_slist_append(list, ("Authorization: Bearer " + request.bearer).c_str());
  }
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(list, curl_slist_free_all);

  const std::string plain_url = url_without_login(url);
  char message[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(easy, CURLOPT_URL, plain_url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, message);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "miao");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_seconds * 1000));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(options_.stall_seconds)));
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L << 10);
  if (request.head) curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  if (!request.sink) curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");  // whatever libcurl can undo
  if (!options_.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options_.ca_file.c_str());
  if (!options_.proxy.empty()) {
    curl_easy_setopt(easy, CURLOPT_PROXY, options_.proxy.c_str());
  } else if (const auto proxy = env("HTTP_PROXY"); proxy && url.starts_with("http://") && !env("http_proxy")) {
    curl_easy_setopt(easy, CURLOPT_PROXY, proxy->c_str());  // libcurl reads every other proxy variable itself
  }
  const std::string origin = url_origin(url), host = url_host(url);
  for (const std::string& trusted : options_.trusted_hosts) {
    if (trusted == host || origin.ends_with("//" + trusted)) {
      curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
      curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
  }
  std::string login = url_login(url);
  if (const auto it = options_.logins.find(origin); login.empty() && it != options_.logins.end()) login = it->second;
  const std::string netrc = env("NETRC").value_or("");
  if (!login.empty()) {
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_USERPWD, login.c_str());
  } else if (options_.netrc && request.bearer.empty()) {
    curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_OPTIONAL));
    if (!netrc.empty()) curl_easy_setopt(easy, CURLOPT_NETRC_FILE, netrc.c_str());
  }

  const CURLcode code = curl_easy_perform(easy);
  if (options_.cancel && options_.cancel->load()) return Error{Code::cancelled, "interrupted", url_for_people(url)};
  if (transfer.error) return std::move(*transfer.error);
  if (code != CURLE_OK) {
    std::string text = *message ? message : curl_easy_strerror(code);
    if (code == CURLE_PEER_FAILED_VERIFICATION) text += "; set SSL_CERT_FILE to your certificate bundle";
    return Error{is_passing(code) ? Code::busy : Code::io, std::move(text), url_for_people(url)};
  }
  if (!transfer.begin()) return std::move(*transfer.error);  // an empty body
  return std::move(transfer.response);
}

Result<std::string> join_url(const std::string& base, const std::string& relative) {
  UrlHandle handle = parse_url(base);
  if (handle && curl_url_set(handle.get(), CURLUPART_URL, relative.c_str(), CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK) {
    if (std::string out = part(handle.get(), CURLUPART_URL); !out.empty()) return out;
  }
  return Error{Code::invalid, "a link there is not a URL", url_for_people(base)};
}

std::string url_origin(const std::string& url) {
  const UrlHandle handle = parse_url(url);
  if (!handle) return {};
  return lower(part(handle.get(), CURLUPART_SCHEME) + "://" + part(handle.get(), CURLUPART_HOST)) + ":" +
         part(handle.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

std::string url_host(const std::string& url) {
  const UrlHandle handle = parse_url(url);
  return handle ? lower(part(handle.get(), CURLUPART_HOST)) : std::string();
}

std::string url_login(const std::string& url) {
  const UrlHandle handle = parse_url(url);
  if (!handle) return {};
  const std::string user = part(handle.get(), CURLUPART_USER, CURLU_URLDECODE);
  return user.empty() ? user : user + ":" + part(handle.get(), CURLUPART_PASSWORD, CURLU_URLDECODE);
}

namespace {

std::string without(const std::string& url, std::initializer_list<CURLUPart> parts) {
  const UrlHandle handle = parse_url(url);
  if (!handle) return url;
  for (const CURLUPart p : parts) curl_url_set(handle.get(), p, nullptr, 0);
  return part(handle.get(), CURLUPART_URL);
}

}  // namespace

std::string url_without_login(const std::string& url) {
  return without(url, {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_FRAGMENT});
}

std::string url_for_people(const std::string& url) {
  return without(url, {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT});
}

std::string url_file_name(const std::string& url) {
  const UrlHandle handle = parse_url(url);
  if (!handle) return {};
  const std::string path = part(handle.get(), CURLUPART_PATH, CURLU_URLDECODE);
  return path.substr(path.find_last_of('/') + 1);
}

std::string percent_encode(std::string_view text, std::string_view keep) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || std::string_view("-._~").find(c) != std::string_view::npos ||
        keep.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

}  // namespace miao::io

// HTTP GET and HEAD through libcurl: one client, many requests over kept connections, every one of them bounded.
//
// Redirects are followed here, one request a hop, so that what may be sent where is decided in one place: a token goes
// only to the origin (scheme, host, port) it was meant for, names and passwords only to the host whose URL held them,
// and https never turns into http.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::io {

struct HttpOptions {
  double connect_seconds = 10;
  double stall_seconds = 30;                  // without one byte
  std::string ca_file;                        // empty: SSL_CERT_FILE, REQUESTS_CA_BUNDLE, then libcurl's own
  std::string proxy;                          // empty: the usual variables
  std::vector<std::string> trusted_hosts;     // HOST or HOST:PORT whose certificates are not verified
  std::map<std::string, std::string> logins;  // origin -> user:password
  bool netrc = false;                         // look hosts without a login up in ~/.netrc (or $NETRC)
  const std::atomic<bool>* cancel = nullptr;
};

struct HttpResponse {
  long status = 0;
  std::string url;                                   // of this answer, after redirects
  std::map<std::string, std::string> headers;        // names in lower case
  std::map<std::string, std::string> first_headers;  // of the answer to the original URL
  std::string body;                                  // empty when a sink took it
  bool delimited = true;  // false: the body ends where the connection does, so that a cut one looks whole

  std::string header(const std::string& name) const;
};

// Takes a body in pieces. begin() sees the status and headers first and is only called for status 200 and 206.
struct HttpSink {
  std::function<Result<void>(const HttpResponse&)> begin;
  std::function<Result<void>(std::string_view)> data;
};

struct HttpRequest {
  std::string url;
  bool head = false;
  bool leave_origin = true;          // false: a redirect to another origin is the answer
  std::vector<std::string> headers;  // "Name: value", for every hop
  std::string bearer;                // for the origin of `url` only
  size_t max_body = size_t{64} << 20;
  const HttpSink* sink = nullptr;
};

class Http {
 public:
  explicit Http(HttpOptions options);
  ~Http();
  // Any status is an answer. Errors: busy (try again later: no connection, cut, stalled), cancelled, io, and what the
  // sink returns.
  Result<HttpResponse> send(const HttpRequest& request);

 private:
  struct Curl;
  Result<HttpResponse> hop(const HttpRequest& request, const std::string& url, bool same_origin);

  HttpOptions options_;
  std::unique_ptr<Curl> curl_;
};

// URL helpers. join resolves `relative` against `base`; both drop nothing else.
Result<std::string> join_url(const std::string& base, const std::string& relative);
std::string url_origin(const std::string& url);  // "https://host:443", lower case; empty if not a URL
std::string url_host(const std::string& url);
std::string url_login(const std::string& url);  // "user:password", decoded
std::string url_without_login(const std::string& url);
std::string url_file_name(const std::string& url);   // last path part, decoded; may be empty
std::string url_for_people(const std::string& url);  // no login, query or fragment
std::string percent_encode(std::string_view text, std::string_view keep = "");

}  // namespace miao::io

// The beginning of a remote file, as much of it as says what the file holds: by ranges that grow until the header is
// whole. Nothing is kept on the disk.
#pragma once

#include <functional>
#include <string>

#include "io/checkpoint.h"
#include "io/hub.h"
#include "io/hub/http.h"

namespace miao::io {

struct HeadRequest {
  std::string url, bearer;
  std::string name;                                   // the file's, in its folder
  std::string place;                                  // of messages: which file of which model
  uint64_t size = 0;                                  // of the whole file, where the hub has said; 0 = unknown
  bool whole = false;                                 // a text file: all of it
  std::function<Error(const HttpResponse&)> explain;  // as Download::explain
};

// Errors: unsupported where the server gives no ranges of a large file; corrupt where it has another size than the hub
// says, changes the file meanwhile, or where the header is damaged or too large; io, cancelled.
Result<Checkpoint::Head> fetch_head(Http& http, const HeadRequest& request, const ResolveOptions& options);

}  // namespace miao::io

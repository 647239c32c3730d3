// Names of error codes and the one-line form of an Error.
#include "base/result.h"

namespace miao {

const char* code_name(Code code) {
  switch (code) {
    case Code::not_found:
      return "not found";
    case Code::corrupt:
      return "corrupt";
    case Code::unsupported:
      return "unsupported";
    case Code::invalid:
      return "invalid";
    case Code::out_of_memory:
      return "out of memory";
    case Code::busy:
      return "busy";
    case Code::cancelled:
      return "cancelled";
    case Code::io:
      return "i/o error";
    case Code::device:
      return "device error";
  }
  return "error";
}

namespace {

// Messages quote what files hold, which may be megabytes.
std::string shortened(const std::string& text) {
  constexpr size_t kHead = 1000, kTail = 500;
  if (text.size() <= kHead + kTail) return text;
  return text.substr(0, kHead) + " ... " + text.substr(text.size() - kTail);
}

}  // namespace

std::string Error::str() const {
  return (where.empty() ? std::string() : shortened(where) + ": ") + shortened(message) + " (" + code_name(code) + ")";
}

Error Error::at(std::string_view place) && {
  where = where.empty() ? std::string(place) : std::string(place) + ": " + where;
  return std::move(*this);
}

}  // namespace miao

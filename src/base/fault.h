// Faults on purpose, for tests of what a kill or a full disk leaves behind: named places where the process can end or a
// write can fail.
//
//   MIAO_FAULT=file.write:3:kill   SIGKILL when the place is passed for the third time
//   MIAO_FAULT=file.write:3:interrupt   SIGINT, as of Ctrl-C
//   MIAO_FAULT=file.flush:1:full   from the first time on, what stands there fails as on a full disk
//
// Without the variable a place costs one look at the environment; they stand where files are written, not in loops.
#pragma once

namespace miao {

// True where the caller should fail; errno is ENOSPC then.
bool fault_point(const char* name);

}  // namespace miao

// What the processor and the container allow: instruction sets the OS has enabled, usable threads, memory limits.
#pragma once

#include <cstdint>
#include <string>

namespace miao {

struct CpuFeatures {
  std::string brand;
  bool avx2 = false;         // with FMA and F16C
  bool avx512_vnni = false;  // F, BW, DQ, VL, VNNI and ZMM state enabled by the OS
  bool amx = false;          // int8 and bf16, and the kernel granted tile permission to this process
};
const CpuFeatures& cpu_features();  // read once; asks the kernel for AMX permission

struct MemoryLimits {
  uint64_t total = 0;  // bytes: the smaller of physical memory and the cgroup's limit; 0 = not known
  uint64_t free = 0;   // that can be had without swapping; files in the page cache count as free
};
MemoryLimits memory_limits();  // read anew: some tens of microseconds

struct CpuLimits {
  int physical_cores = 1;                      // of the cpuset this process may run on
  int cpuset = 1;                              // logical processors of the affinity mask
  double quota = 0;                            // cgroup CPU quota in processors; 0 = none
  uint64_t memory_total = 0, memory_free = 0;  // as in MemoryLimits
  int threads() const;  // the default thread count: min(floor(quota), cpuset, physical cores), at least 1
};
CpuLimits cpu_limits();

uint64_t peak_rss_bytes();  // VmHWM of this process
uint64_t rss_bytes();       // VmRSS of this process
uint64_t cache_bytes();     // of the largest cache that the first processor reads through; 0 = not known

}  // namespace miao

// Processor features by cpuid and xgetbv, limits by cgroup v2 (and v1) files and the affinity mask.
#include "base/cpu.h"

#include <cpuid.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

namespace miao {

namespace {

uint64_t xgetbv0() {
  uint32_t lo, hi;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return (uint64_t{hi} << 32) | lo;
}

bool grant_amx() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

CpuFeatures detect() {
  CpuFeatures out;
  unsigned a, b, c, d;
  char brand[49] = {};
  for (unsigned i = 0; i < 3; ++i) {
    if (__get_cpuid(0x80000002u + i, &a, &b, &c, &d)) {
      const unsigned words[4] = {a, b, c, d};
      std::memcpy(brand + 16 * i, words, 16);
    }
  }
  out.brand = brand;
  while (!out.brand.empty() && out.brand.back() == ' ') out.brand.pop_back();
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return out;
  const bool fma_f16c = (c & bit_FMA) && (c & bit_F16C);
  const uint64_t state = xgetbv0();
  const bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xe6) == 0xe6, tiles = (state & 0x60000) == 0x60000;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return out;
  out.avx2 = ymm && fma_f16c && (b & bit_AVX2);
  const unsigned need = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
  out.avx512_vnni = out.avx2 && zmm && (b & need) == need && (c & bit_AVX512VNNI);
  constexpr unsigned kAmx = 1u << 22 | 1u << 24 | 1u << 25;  // bf16, tiles, int8
  out.amx = out.avx512_vnni && tiles && (d & kAmx) == kAmx && grant_amx();
  return out;
}

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// This process's cgroup v2 folder and its ancestors, innermost first.
std::set<std::string> cgroup_folders() {
  std::set<std::string> out{"/sys/fs/cgroup"};
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("0::", 0) != 0) continue;
    std::string path = line.substr(3);
    while (path.size() > 1) {
      out.insert("/sys/fs/cgroup" + path);
      path = path.substr(0, path.rfind('/'));
    }
  }
  return out;
}

// The number behind `key` at the start of a line; 0 when there is none.
uint64_t number_of(const std::string& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(key, 0) == 0) return std::strtoull(line.c_str() + key.size(), nullptr, 10);
  }
  return 0;
}
uint64_t proc_number(const char* file, const std::string& key) { return number_of(file, key) * 1024; }  // kB lines

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

MemoryLimits memory_limits() {
  MemoryLimits out{proc_number("/proc/meminfo", "MemTotal:"), proc_number("/proc/meminfo", "MemAvailable:")};
  if (out.free == 0) out.free = out.total ? out.total : UINT64_MAX;  // not known: nothing is refused
  for (const std::string& folder : cgroup_folders()) {
    const std::string memory = first_line(folder + "/memory.max");
    if (memory.empty() || memory == "max") continue;
    const uint64_t limit = std::strtoull(memory.c_str(), nullptr, 10);
    const uint64_t current = std::strtoull(first_line(folder + "/memory.current").c_str(), nullptr, 10);
    const std::string stat = folder + "/memory.stat";
    const uint64_t files = number_of(stat, "inactive_file ") + number_of(stat, "active_file ");
    const uint64_t used = current - std::min(current, files);
    out.total = out.total ? std::min(out.total, limit) : limit;
    out.free = std::min(out.free, limit - std::min(limit, used));
  }
  return out;
}

CpuLimits cpu_limits() {
  CpuLimits out;
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
    out.cpuset = std::max(1, CPU_COUNT(&mask));
    std::set<std::string> cores;  // "package:core" of each usable processor
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &mask)) continue;
      const std::string base = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
      const std::string core = first_line(base + "core_id");
      cores.insert(core.empty() ? "cpu" + std::to_string(cpu) : first_line(base + "physical_package_id") + ":" + core);
    }
    out.physical_cores = std::max<int>(1, static_cast<int>(cores.size()));
  }
  for (const std::string& folder : cgroup_folders()) {
    std::istringstream cpu_max(first_line(folder + "/cpu.max"));
    std::string quota;
    double period = 0;
    if (cpu_max >> quota >> period && quota != "max" && period > 0) {
      const double cpus = std::strtod(quota.c_str(), nullptr) / period;
      if (cpus > 0) out.quota = out.quota == 0 ? cpus : std::min(out.quota, cpus);
    }
  }
  const double v1_quota = std::strtod(first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").c_str(), nullptr);
  const double v1_period = std::strtod(first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us").c_str(), nullptr);
  if (out.quota == 0 && v1_quota > 0 && v1_period > 0) out.quota = v1_quota / v1_period;
  const MemoryLimits memory = memory_limits();
  out.memory_total = memory.total;
  out.memory_free = memory.free;
  return out;
}

int CpuLimits::threads() const {
  int n = std::min(cpuset, physical_cores);
  if (quota > 0) n = std::min(n, static_cast<int>(std::floor(quota)));
  return std::max(1, n);
}

uint64_t rss_bytes() { return proc_number("/proc/self/status", "VmRSS:"); }

uint64_t cache_bytes() {
  uint64_t out = 0;
  for (int i = 0; i < 8; ++i) {
    const std::string size = first_line("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/size");
    if (size.empty()) break;
    const uint64_t unit = size.back() == 'K' ? 1 << 10 : size.back() == 'M' ? 1 << 20 : 1;
    out = std::max<uint64_t>(out, unit * std::strtoull(size.c_str(), nullptr, 10));
  }
  return out;
}

uint64_t peak_rss_bytes() { return proc_number("/proc/self/status", "VmHWM:"); }

}  // namespace miao

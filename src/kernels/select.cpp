// Tables are built on first use, each from a copy of the next lower one, so that no entry is ever null.
#include "kernels/kernels.h"
#include "kernels/tables.h"

#include <string>

namespace miao::kernels {

namespace {

struct Tables {
  Kernels table[static_cast<size_t>(Isa::count)];

  Tables() {
    Kernels t;
    fill_vector_scalar(t);
    fill_matmul_scalar(t);
    fill_int8_scalar(t);
    keep(t, Isa::scalar);
    fill_vector_avx2(t);
    fill_matmul_avx2(t);
    fill_int8_avx2(t);
    keep(t, Isa::avx2);
    fill_vector_avx512(t);
    fill_matmul_avx512(t);
    fill_int8_avx512(t);
    keep(t, Isa::avx512);
    fill_matmul_amx(t);
    fill_parts_amx(t);
    fill_int8_amx(t);
    keep(t, Isa::amx);
  }
  void keep(Kernels& t, Isa isa) {
    t.isa = isa;
    t.name = isa_name(isa);
    table[static_cast<size_t>(isa)] = t;
  }
};

const Kernels& table(Isa isa) {
  static const Tables tables;
  return tables.table[static_cast<size_t>(isa)];
}

bool has(const CpuFeatures& cpu, Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return true;
    case Isa::avx2:
      return cpu.avx2;
    case Isa::avx512:
      return cpu.avx512_vnni;
    case Isa::amx:
      return cpu.amx;
    case Isa::count:
      break;
  }
  return false;
}

}  // namespace

const char* isa_name(Isa isa) {
  constexpr const char* kNames[] = {"scalar", "avx2", "avx512", "amx"};
  return isa < Isa::count ? kNames[static_cast<size_t>(isa)] : "?";
}

Result<const Kernels*> select(const CpuFeatures& cpu, std::string_view force) {
  for (int i = static_cast<int>(Isa::count) - 1; i >= 0; --i) {
    const Isa isa = static_cast<Isa>(i);
    if (!force.empty() && force != isa_name(isa)) continue;
    if (has(cpu, isa)) return &table(isa);
    if (!force.empty()) {
      return Error{Code::unsupported, "this processor cannot run '" + std::string(force) + "'", {}};
    }
  }
  return Error{Code::invalid, "'" + std::string(force) + "' is none of scalar, avx2, avx512, amx", {}};
}

int available(const CpuFeatures& cpu, const Kernels* out[static_cast<size_t>(Isa::count)]) {
  int n = 0;
  for (int i = 0; i < static_cast<int>(Isa::count); ++i) {
    if (has(cpu, static_cast<Isa>(i))) out[n++] = &table(static_cast<Isa>(i));
  }
  return n;
}

}  // namespace miao::kernels

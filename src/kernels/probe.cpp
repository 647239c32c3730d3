// Chooses the probe loops of one instruction set, built up like the kernel tables.
#include "kernels/probe.h"

namespace miao::kernels {

Probe probe(Isa isa) {
  Probe out;
  fill_probe_scalar(out);
  if (isa >= Isa::avx2) fill_probe_avx2(out);
  if (isa >= Isa::avx512) fill_probe_avx512(out);
  if (isa >= Isa::amx) fill_probe_amx(out);
  return out;
}

}  // namespace miao::kernels

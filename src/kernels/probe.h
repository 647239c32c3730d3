// Probe loops of one instruction set: what this processor can read and compute at best, with none of a model's work.
// measure/machine.h times them. Plain types only, so that ISA files can include it.
#pragma once

#include <cstdint>

#include "kernels/table.h"

namespace miao::kernels {

constexpr int64_t kProbeBlock = 4096;  // bytes; reads are whole blocks

struct Probe {
  // Reads every byte of `bytes` (a multiple of kProbeBlock, 64-byte aligned) once and returns a digest of them.
  uint64_t (*read)(const void* data, int64_t bytes) = nullptr;
  // FP32 multiply-adds without memory traffic; returns the operations done (a multiply-add is two). `sink` takes a
  // result that depends on all of them.
  int64_t (*fp32)(int64_t rounds, float* sink) = nullptr;
  // The same for int8 products summed in int32 with the instructions that the integer kernels of this ISA use.
  int64_t (*int8)(int64_t rounds, int32_t* sink) = nullptr;
};

void fill_probe_scalar(Probe& probe);
void fill_probe_avx2(Probe& probe);
void fill_probe_avx512(Probe& probe);
void fill_probe_amx(Probe& probe);

// The loops of `isa`, which this processor must have; those it lacks are of the next lower one.
Probe probe(Isa isa);

}  // namespace miao::kernels

// The door of the kernels: the tables (kernels/table.h) and the choice of one of them at run time.
#pragma once

#include <string_view>

#include "base/cpu.h"
#include "base/result.h"
#include "kernels/table.h"

namespace miao::kernels {

// The table of the best ISA that the processor has, or of `force` ("scalar", "avx2", "avx512", "amx"; empty = best).
// Errors: invalid for an unknown name, unsupported where this processor lacks it.
Result<const Kernels*> select(const CpuFeatures& cpu, std::string_view force);
// Tables that this processor can run, scalar first.
int available(const CpuFeatures& cpu, const Kernels* out[static_cast<size_t>(Isa::count)]);

}  // namespace miao::kernels

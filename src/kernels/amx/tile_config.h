// What _tile_loadconfig reads: rows and bytes a row of each of the eight tiles.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace miao::kernels::amx {

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};

  void load() const {
    __asm__ volatile("" : : "r"(this) : "memory");  // the intrinsic tells the compiler of the first 8 bytes only
    _tile_loadconfig(this);
  }
};

}  // namespace miao::kernels::amx

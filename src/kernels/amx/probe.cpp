// Probe loop of AMX: tdpbssd on four sums of 16 x 16 from two A and two B tiles, the register block of a real product.
#include <immintrin.h>

#include "kernels/probe.h"

namespace miao::kernels {

namespace {

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

int64_t int8(int64_t rounds, int32_t* sink) {
  alignas(64) static const int8_t kOnes[1024] = {1, 2, 3};
  alignas(64) int32_t out[256];
  const TileConfig config;
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, kOnes, 64);
  _tile_loadd(5, kOnes, 64);
  _tile_loadd(6, kOnes, 64);
  _tile_loadd(7, kOnes, 64);
  for (int64_t r = 0; r < rounds; ++r) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  _tile_stored(0, out, 64);
  *sink = out[0];
  _tile_stored(3, out, 64);
  *sink += out[0];
  _tile_release();
  return rounds * 4 * (16 * 16 * 64 * 2);
}

}  // namespace

void fill_probe_amx(Probe& probe) { probe.int8 = int8; }

}  // namespace miao::kernels

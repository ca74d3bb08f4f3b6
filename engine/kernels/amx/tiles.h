// The tile registers of one thread, for as long as this lives: 0 to 3 hold sums (two rows of two), 4 and 5 left
// operands, 6 and 7 right operands.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace blalm::kernels::amx {

// g++ 12 does not know that LDTILECFG and TILELOADD read memory: what they shall read has to be there before.
inline void finish_writes(const void* memory) { __asm__ volatile("" : : "r"(memory) : "memory"); }

class TileRegisters {
 public:
  TileRegisters() { load(); }
  ~TileRegisters() { _tile_release(); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;

  // How many rows the left operands have in all: 1 to 32; the tiles of rows 17 and up are unusable below 17.
  void set_rows(std::int64_t rows) {
    if (rows == rows_) return;
    rows_ = rows;
    load();
  }

 private:
  struct alignas(64) Config {  // as LDTILECFG reads it
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {};
    std::uint8_t rows[16] = {};
  };

  void load() const {
    Config config;
    const auto first = static_cast<std::uint8_t>(rows_ < 16 ? rows_ : 16);
    const auto second = static_cast<std::uint8_t>(rows_ > 16 ? rows_ - 16 : 16);
    const std::uint8_t rows[8] = {first, first, second, second, first, second, 16, 16};
    for (int i = 0; i < 8; ++i) {
      config.row_bytes[i] = 64;
      config.rows[i] = rows[i];
    }
    finish_writes(&config);
    _tile_loadconfig(&config);
  }

  std::int64_t rows_ = 32;
};

}  // namespace blalm::kernels::amx

// Which build of the CPU kernels this machine runs.
#pragma once

namespace fastcv {

enum class Isa { portable, avx2, avx512 };

// The widest instruction set that both the processor and the build have, decided once per process.
// The environment variable FASTCV_ISA=portable|avx2|avx512 lowers it (tests run every build).
Isa cpu_isa();

const char* isa_name(Isa isa);

}  // namespace fastcv

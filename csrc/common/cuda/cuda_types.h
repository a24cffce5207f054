// The CUDA runtime's types, for code that may be compiled by nvcc, by the host compiler beside
// torch, or by the host compiler for the emulator.
#pragma once

#if defined(FASTCV_EMULATE_CUDA)
#include "common/cuda/launch.cuh"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#endif

// What most files of csrc/ include, compiled once before all others (buildlib/compiling.py):
// torch's headers take GCC longer than a usual file's own code. Every file still includes what it
// uses: `make asan` and other compilers do without this.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <tuple>
#include <type_traits>
#include <vector>

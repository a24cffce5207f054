// The module fastcv._C. Loading it registers the ops with torch's dispatcher (each <op>.cpp does so
// on its own); here they are bound once more as plain functions, from the dispatcher's own list,
// and the build tells what it is; what is no op (selective search) is bound by itself. The only
// file that includes pybind11.
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/utils/pybind.h>
#include <torch/version.h>

#include <string>

#include "common/cpu/cpu_isa.h"
#include "selective_search/selective_search.h"

namespace py = pybind11;

namespace {

#define FASTCV_STRING_(x) #x
#define FASTCV_STRING(x) FASTCV_STRING_(x)

// Read from the file by fastcv/_extension.py when the library does not load, hence the marker.
__attribute__((used)) constexpr char built_for_torch[] =
    "FASTCV_BUILT_FOR_TORCH=" FASTCV_STRING(FASTCV_TORCH_VERSION) ";";

py::list op_names() {
  py::list names;
  for (const auto& op : c10::Dispatcher::singleton().getAllOpNames()) {
    if (op.name.starts_with("fastcv::")) names.append(op.name.substr(8));
  }
  return names;
}

py::dict build_info() {
  py::dict info;
  info["torch"] = FASTCV_STRING(FASTCV_TORCH_VERSION);
#if defined(FASTCV_CUDA_VERSION)
  info["cuda"] = FASTCV_STRING(FASTCV_CUDA_VERSION);
  info["archs"] = py::str(FASTCV_STRING(FASTCV_CUDA_ARCHS)).attr("split")(" ");
#else
  info["cuda"] = py::none();
  info["archs"] = py::list();
#endif
  info["compiler"] = __VERSION__;
  return info;
}

}  // namespace

PYBIND11_MODULE(_C, m) {
  m.doc() = "fastcv's compiled ops. Importing it registers torch.ops.fastcv.*";
  m.def("build_info", &build_info, "What this build has: torch, cuda, archs, compiler.");
  m.def("op_names", &op_names, "The registered ops, without their namespace.");
  m.def(
      "cpu_isa", [] { return fastcv::isa_name(fastcv::cpu_isa()); },
      "The instruction set the CPU kernels use here: portable, avx2 or avx512.");
  using unlocked = py::call_guard<py::gil_scoped_release>;
  m.def("felzenszwalb", &fastcv::felzenszwalb, unlocked());
  m.def("group_regions", &fastcv::group_regions, unlocked());
  m.def("selective_search", &fastcv::selective_search, unlocked());
  const py::object find = py::module_::import("torch._C").attr("_jit_get_operation");
  for (const py::handle name : op_names()) {
    m.attr(name) = find("fastcv::" + name.cast<std::string>()).cast<py::tuple>()[0];
  }
}

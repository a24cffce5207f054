// Calling one of our ops through the dispatcher from C++.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

namespace fastcv {

//   static const auto op = find_op<at::Tensor(const at::Tensor&)>("fastcv::identity");
//   at::Tensor y = op.call(x);
// The signature is the schema's in C++ terms; a wrong one is an error at the first call.
template <typename Signature>
c10::TypedOperatorHandle<Signature> find_op(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").template typed<Signature>();
}

}  // namespace fastcv

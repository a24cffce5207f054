// sgns_step(input!, output!, words, keep, noise, window, negative, lr, seed, position, shards)
//     -> (loss, pairs): trains word vectors on a piece of text, in place: skip-gram with negative
// sampling. Each word that sub-sampling keeps is a centre. Its pairs are the words around it, with
// label 1, and `negative` drawn words for each of those, with label 0.
//
//   input     [V, D] float32 | float64, rows dense: the vectors of centres
//   output    [V, D] like input, other memory: those of the words that are predicted
//   words     [N] int64: ids 0 to V - 1; -1 ends a sentence, over which no window reaches
//   keep      [V] float32: the probability with which sub-sampling keeps a word
//   noise     [V, 2] int32: the alias table that negatives are drawn from. A row is
//             (threshold, other): of row i comes i with probability threshold / 2^31, else other.
//   window    at least 1; each centre's own is 1 to window, drawn evenly, in words that were kept
//   negative  at least 0; one that is the word it was drawn beside is left out
//   lr        the step
//   seed, position   word n of `words` draws from counters of (seed, position + n) alone
//             (sgns_random.h), so a text in pieces draws what the whole would
//   shards    1 to 1024: see below
//   loss      [] float64: the sum over pairs of -log(probability of the label)
//   pairs     [] int64: how many there were, negatives too
//
// The order. Words are in shards by id mod `shards`. In round r = 0 .. shards - 1 the pairs of
// centres in shard s and outputs in shard (s + r) mod `shards` are trained, for all s: these touch
// no common row, so they may be trained at the same time and the result does not depend on how many
// threads do. Within one (s, r) centres come in the order of the text, a centre's pairs by place in
// the window, positive first. A centre's pairs of one (s, r) are a step: errors e_k = lr * (label_k
// - sigmoid(centre . output_k)) of all first; then in order  sum += e_k * output_k, output_k += e_k
// * centre; then centre += sum.
//
// Errors: shapes, dtypes, devices, ranges other than above. On CUDA ids are not looked at: one that
// is out of range ends a sentence, and a drawn one is left out. On the CPU no vector has changed.
// Deterministic on both devices, and the same bits for any number of threads. No gradient.
// Memory: on the CPU 4 bytes a pair; on CUDA about 40 bytes for each of 2 * window * (1 + negative)
// * N. CUDA does not synchronise.
// Source: Mikolov et al., "Distributed Representations of Words and Phrases" (2013), sections 2.2
// and 2.3; the shards: Gemulla et al., "Large-Scale Matrix Factorization with Distributed
// Stochastic Gradient Descent" (2011).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "sgns_step/sgns_text.h"

namespace fastcv {

void check_sgns_step(const at::Tensor& input, const at::Tensor& output, const at::Tensor& words,
                     const at::Tensor& keep, const at::Tensor& noise, int64_t window,
                     int64_t negative, int64_t shards);

// What both launchers draw from; the tensors are dense and live longer.
SgnsText sgns_text(const at::Tensor& words, const at::Tensor& keep, const at::Tensor& noise,
                   int64_t window, int64_t negative, int64_t seed, int64_t position);

}  // namespace fastcv

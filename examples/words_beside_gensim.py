"""word2vec beside gensim's, on a text that comes with gensim: analogies and nearest words.

    pip install gensim==4.4.0
    python examples/words_beside_gensim.py

The text has 300,000 words: neither knows much. Nearest words of two runs that differ in the seed
alone show how much agreement there can be.
"""

from pathlib import Path

import gensim
import torch
from gensim.models import Word2Vec

from fastcv.language import WordVectors, word2vec
from fastcv.metrics import evaluate_analogies, read_analogies

data = Path(gensim.__file__).parent / "test" / "test_data"
lines = (data / "head500.noblanks.cor").read_text("utf-8").splitlines()
sentences = [line.split() for line in lines]


def by_gensim(seed: int) -> WordVectors:
    model = Word2Vec(sentences, sg=1, workers=1, seed=seed)
    return WordVectors(model.wv.index_to_key, torch.tensor(model.wv.vectors))


def overlap(a: WordVectors, b: WordVectors) -> float:
    """How many of the ten nearest are the same, for the 100 most frequent words."""
    same = 0
    for word in a.words[:100]:
        same += len({w for w, _ in a.nearest(word)} & {w for w, _ in b.nearest(word)})
    return same / 1000


theirs, ours = [by_gensim(seed) for seed in (1, 2)], [word2vec(sentences, seed=s) for s in (1, 2)]
questions = {"family": read_analogies(data / "questions-words.txt")["family"]}
for name, vectors in (("gensim", theirs), ("fastcv", ours)):
    shares = [evaluate_analogies(v, questions) for v in vectors]
    print(f"{name}: family", *(f"{s['family']:.3f} of {s['asked']}" for s in shares))
print(f"overlap@10: fastcv and gensim {overlap(ours[0], theirs[0]):.2f},", end=" ")
print(f"fastcv twice {overlap(*ours):.2f}, gensim twice {overlap(*theirs):.2f}")

"""Equal relations are equal directions: words of a planted text in the plane, with arrows.

python examples/word_plane.py --out word_plane.png
"""

import argparse

from fastcv.data.planted_words import CAPITALS, PERSONS, PLURALS, planted_sentences
from fastcv.draw import draw_word_plane
from fastcv.language import word2vec

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--out", default="word_plane.png")
args = parser.parse_args()

vectors = word2vec(planted_sentences(), dim=50, lr=0.05, sample=0, progress=False)
for a, b, c in (("man", "king", "woman"), ("korea", "seoul", "italy"), ("nun", "nuns", "boy")):
    print(f"{a} : {b} = {c} : {vectors.analogy(a, b, c, k=1)[0][0]}")
words = ("man", "queen", "uncle", "waitress", "prince", "girl", "monk")
number = [(w, PLURALS.get(w, w + "s")) for w in words]
figure = draw_word_plane(
    vectors, [list(PERSONS), number, list(CAPITALS)], ["gender", "number", "capital"]
)
figure.savefig(args.out, dpi=110)

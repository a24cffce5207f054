"""Words as numbers: vocabularies, and vectors of words."""

from fastcv.language.negative_sampling import read_sentences, word2vec
from fastcv.language.sampling import keep_probabilities, noise_table
from fastcv.language.spelled_numbers import spell_numbers
from fastcv.language.symbols import Symbols, clean_english
from fastcv.language.text_files import read_texts
from fastcv.language.tokenizer import tokenize
from fastcv.language.units import UnitVocabulary, read_units, spell_units, unit_words
from fastcv.language.vector_files import read_numpy_vectors, read_word2vec, write_word2vec
from fastcv.language.vocabulary import Vocabulary, pad_texts
from fastcv.language.word_vectors import WordVectors
from fastcv.language.written_recipe import WrittenRecipe

__all__ = [
    "Symbols",
    "UnitVocabulary",
    "Vocabulary",
    "WordVectors",
    "WrittenRecipe",
    "clean_english",
    "keep_probabilities",
    "noise_table",
    "pad_texts",
    "read_numpy_vectors",
    "read_sentences",
    "read_texts",
    "read_units",
    "read_word2vec",
    "spell_numbers",
    "spell_units",
    "tokenize",
    "unit_words",
    "word2vec",
    "write_word2vec",
]

"""im2recipe: photographs and recipes in one space, with the kinds of dishes beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from fastcv.data.drawn_recipes import MismatchedPairs, Pair, PairTargets
from fastcv.language.vocabulary import SPECIAL, Vocabulary, pad_texts
from fastcv.language.word_vectors import WordVectors
from fastcv.language.written_recipe import WrittenRecipe
from fastcv.models._registry import register
from fastcv.models.classification._classifier import Classifier, normalised_crops
from fastcv.models.language._im2recipe_keys import own_table, renamed, words_of
from fastcv.models.language._joint_embedding import JointEmbedding
from fastcv.models.language._pair_loss import check_pairs, cosine_term, kind_term
from fastcv.models.language._recipe_readers import (
    MAX_LENGTH,
    IngredientReader,
    InstructionReader,
    RecipeBatch,
    as_recipe,
    cut,
    ingredient_ids,
)
from fastcv.models.language._trunks import for_pictures
from fastcv.models.language.skip_instructions import InstructionEncoder
from fastcv.nn.backbones.resnet import ResNetTrunk

MARGIN = 0.1  # of the cosine of what does not match
COSINE_WEIGHT, CLASS_WEIGHT = 0.98, 0.01


class Im2Recipe(JointEmbedding):
    """A ResNet for photographs, two LSTMs for recipes, and one layer that both are classified by.

    A recipe's instructions come as vectors. Those may be handed in (``WrittenRecipe.vectors``, the
    published way), or be made by the model's own ``sentences``, an ``InstructionEncoder`` that
    ``SkipInstructions`` has trained. That one is never trained here.

    An ingredient that is no word of the vocabulary as a whole, such as ``"olive oil"`` or
    ``"olive_oil"``, is read word by word. What is not known even so is left out.

    Args:
        words: of ingredients, without the four special ones; spaces within one as ``_``.
        instruction_words: of ``sentences``; empty: it has none, and takes vectors alone.
        num_classes: kinds of dishes, with label 0 for those of no kind.
        semantic: whether there is a layer for the kinds, and its terms in the loss.
        depth, width: of the ResNet.
        small_pictures: of some 64 pixels: a ResNet that sees cells of 8 pixels.
        embedding_size: numbers of the joint space's vectors.
        vector_size: numbers of an instruction's vector.
        hidden_size: numbers of the state that reads them.
        ingredient_size: numbers of an ingredient's vector, and of each state that reads them.
        word_size: numbers of a word's vector in ``sentences``.

    Source: Salvador et al., "Learning Cross-modal Embeddings for Cooking Recipes and Food Images"
        (2017), sections 3 and 4; keys, sizes and weights of the loss as in
        torralba-lab/im2recipe-Pytorch.

    Example:
        >>> import fastcv, torch
        >>> from fastcv.language import WrittenRecipe
        >>> model = fastcv.create_model("im2recipe_resnet18", width=8, vector_size=16,
        ...                             words=("flour", "olive_oil"), instruction_words=("mix",))
        >>> dough = WrittenRecipe(["flour", "olive oil"], ["Mix both.", "Mix again."])
        >>> bread = WrittenRecipe(["flour"], vectors=torch.rand(3, 16))
        >>> model.predict(torch.rand(3, 64, 64), texts=[dough, bread])[0].scores.shape
        torch.Size([2])
    """

    preprocessing: Mapping[str, Any] = Classifier.preprocessing

    def __init__(
        self,
        depth: int = 50,
        *,
        words: Sequence[str] = (),
        instruction_words: Sequence[str] = (),
        num_classes: int = 1048,
        semantic: bool = True,
        width: int = 64,
        small_pictures: bool = False,
        embedding_size: int = 1024,
        vector_size: int = 1024,
        hidden_size: int = 1024,
        ingredient_size: int = 300,
        word_size: int = 300,
    ) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(words)
        self.vector_size = vector_size
        self.visionMLP = for_pictures(ResNetTrunk(depth, width=width), small_pictures)
        features = self.visionMLP.out_channels[-1]
        self.visual_embedding = nn.Sequential(nn.Linear(features, embedding_size), nn.Tanh())
        self.stRNN_ = InstructionReader(vector_size, hidden_size)
        self.ingRNN_ = IngredientReader(self.vocabulary, ingredient_size)
        read = hidden_size + 2 * ingredient_size
        self.recipe_embedding = nn.Sequential(nn.Linear(read, embedding_size), nn.Tanh())
        self.classes = ("none", *(f"class {i}" for i in range(1, num_classes)))
        self.semantic_branch = nn.Linear(embedding_size, num_classes) if semantic else None
        self.sentences = None
        if instruction_words:
            self.sentences = InstructionEncoder(
                instruction_words, vector_size=vector_size, word_size=word_size
            ).requires_grad_(False)

    # Vectors.

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Images of any sizes to one batch: resized, cropped, normalised."""
        return normalised_crops(images, self.preprocessing)

    def encode_images(self, images: Tensor) -> Tensor:
        """Vectors ``[B, D]`` in -1 to 1 of normalised images ``[B, 3, H, W]``."""
        return self.visual_embedding(self.visionMLP(images)[-1].mean(dim=(2, 3)))

    def encode_texts(self, texts: RecipeBatch) -> Tensor:
        """Vectors ``[B, D]`` in -1 to 1: first the instructions' state, then the ingredients'."""
        done = self.stRNN_(texts.vectors, texts.instructions)
        used = self.ingRNN_(texts.ingredients, texts.ingredient_counts)
        return self.recipe_embedding(torch.cat([done, used], dim=1))

    def prepare_texts(self, texts: Sequence[WrittenRecipe | str]) -> RecipeBatch:
        """Recipes, or their JSON, as tensors on the model's device.

        Of more than 20 instructions or 19 ingredients the first are taken, with a warning.

        Raises:
            TypeError: what is no ``WrittenRecipe`` and no string.
            ValueError: JSON that is no recipe; no ingredient or no word of the instructions is
                known; vectors of another size; or instructions without vectors where the model has
                no ``sentences``.
        """
        recipes = [as_recipe(text) for text in texts]
        device = self._device()
        ingredients, counts = pad_texts([self.ingredient_ids(recipe) for recipe in recipes])
        vectors = [self.instruction_vectors(recipe).to(device) for recipe in recipes]
        lengths = torch.tensor([len(rows) for rows in vectors])
        padded = pad_sequence(vectors, batch_first=True)
        return RecipeBatch(padded, lengths, ingredients.to(device), counts)

    def ingredient_ids(self, recipe: WrittenRecipe) -> Tensor:
        """Ids ``[T]`` of a recipe's ingredients, each once, with ``<end>`` behind.

        Raises:
            ValueError: none is known.
        """
        return ingredient_ids(self.vocabulary, recipe)

    def instruction_vectors(self, recipe: WrittenRecipe) -> Tensor:
        """Vectors ``[N, D]`` of a recipe's instructions: its own, or made by ``sentences``.

        Raises:
            ValueError: there are neither, or they have another size than the model's.
        """
        if recipe.vectors is None:
            if self.sentences is None:
                raise ValueError(
                    f"vectors must be given, [N, {self.vector_size}] for each recipe: this model "
                    "was built without instruction_words and cannot read instructions"
                )
            return self.sentences.encode(cut(list(recipe.instructions), MAX_LENGTH, "instructions"))
        if recipe.vectors.shape[1] != self.vector_size:
            raise ValueError(
                f"vectors must be [N, {self.vector_size}], as the model was built for, got "
                f"{list(recipe.vectors.shape)}"
            )
        return cut(recipe.vectors, MAX_LENGTH, "instructions").to(self.recipe_embedding[0].weight)

    def with_vectors(self, recipe: WrittenRecipe) -> WrittenRecipe:
        """A recipe with the vectors of its instructions, so that they are computed once."""
        vectors = self.instruction_vectors(recipe)
        instructions = recipe.instructions[: len(vectors)]
        return WrittenRecipe(recipe.ingredients, instructions, vectors)

    @staticmethod
    def title(text: WrittenRecipe | str) -> str:
        """The ingredients, and what is done."""
        recipe = as_recipe(text)
        parts = (", ".join(recipe.ingredients), ", ".join(recipe.instructions))
        return ": ".join(part for part in parts if part)

    # Training.

    def take_word_vectors(self, vectors: WordVectors) -> list[str]:
        """Starts the ingredients' table from word vectors, as the paper does from word2vec's.

        Args:
            vectors: of as many numbers as the table has.

        Returns:
            The words of the vocabulary that have no vector and keep their random start.

        Raises:
            ValueError: vectors of another size.
        """
        table = self.ingRNN_.embs.weight
        if vectors.vectors.shape[1] != table.shape[1]:
            raise ValueError(
                f"vectors must have {table.shape[1]} numbers each, got {vectors.vectors.shape[1]}"
            )
        words = self.vocabulary.words[len(SPECIAL) :]
        known = [word for word in words if word in vectors]
        with torch.no_grad():
            for word in known:
                table[self.vocabulary.id_of(word)] = vectors[word].to(table)
        return [word for word in words if word not in vectors]

    def halves(self) -> list[dict[str, list[nn.Parameter]]]:
        """Groups for an optimiser: all but the ResNet, then the ResNet.

        The paper trains one of them at a time, the first one first: see
        ``fastcv.learn.alternate.AlternateOnPlateau``.
        """
        trunk = list(self.visionMLP.parameters())
        taken = set(trunk)
        rest = [p for p in self.parameters() if p.requires_grad and p not in taken]
        return [{"params": rest}, {"params": trunk}]

    def collate(self, batch: Sequence[Pair]) -> tuple[Tensor, PairTargets]:
        """``fit``'s ``collate_fn``: items of ``MismatchedPairs`` as ``forward`` and ``loss`` take
        them."""
        images, targets = MismatchedPairs.collate(batch)
        return self.prepare(images), targets

    def loss(self, output: Tensor, targets: PairTargets) -> dict[str, Tensor]:
        """The distance of what matches, the nearness of what does not, and the kinds of both.

        Args:
            output: vectors ``[B, D]`` of pictures, of length 1.
            targets: of the recipes beside them.

        Returns:
            ``cosine``: 0.98 times the mean of 1 - cos where they match and of max(0, cos - 0.1)
            where not. ``image_class`` and ``recipe_class``: 0.01 times the mean cross-entropy of
            those with a kind. Without ``semantic`` the cosine's term alone, with weight 1.

        Raises:
            TypeError: targets that are no ``PairTargets``.
            ValueError: not one of each for each picture, or a label that no kind has.
        """
        check_pairs(output, targets, len(self.classes))
        try:
            recipes = self.text_vectors(targets.recipes)
        except (TypeError, ValueError) as error:
            raise type(error)(f"targets: {error}") from None
        term = cosine_term(output, recipes, targets.match, MARGIN)
        if self.semantic_branch is None:
            return {"cosine": term}
        terms = {"cosine": COSINE_WEIGHT * term}
        for name, vectors, labels in (
            ("image_class", output, targets.image_labels),
            ("recipe_class", recipes, targets.recipe_labels),
        ):
            terms[name] = CLASS_WEIGHT * kind_term(self.semantic_branch(vectors), labels)
        return terms

    # Published weights.

    def rename_key(self, key: str) -> str:
        """torralba-lab's names of the ResNet's layers are numbers."""
        return renamed(key)

    def read_checkpoint(self, path: Path) -> dict[str, Tensor]:
        """The state dict in a file.

        Raises:
            ValueError: its ingredients are not as many as the model's.
        """
        state = super().read_checkpoint(path)
        theirs, own = words_of(state), len(self.vocabulary) - len(SPECIAL)
        if theirs is not None and theirs != own:
            raise ValueError(
                f"{path} has vectors of {theirs} ingredients, and the model has {own} words: pass "
                "the file's as words="
            )
        return state

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        own_table(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


@register("im2recipe_resnet50", task="matching")
def im2recipe_resnet50(**config: Any) -> Im2Recipe:
    """im2recipe as published, on a ResNet-50; ``config``: what ``Im2Recipe`` takes."""
    return Im2Recipe(50, **config)


@register("im2recipe_resnet18", task="matching")
def im2recipe_resnet18(**config: Any) -> Im2Recipe:
    """im2recipe on a ResNet-18, for small data; ``config``: what ``Im2Recipe`` takes."""
    return Im2Recipe(18, **config)

"""im2recipe's counts and keys, its encoders step by step, its loss by hand, and bad recipes."""

import json
import math
import warnings
from functools import partial

import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import ConcatDataset, Dataset

import fastcv
from fastcv.data.drawn_recipes import MismatchedPairs, PairTargets
from fastcv.language import WordVectors, WrittenRecipe
from fastcv.learn import fit
from fastcv.learn.alternate import AlternateOnPlateau

WORDS = ("flour", "salt", "olive_oil", "water")
STEPS = ("mix", "flour", "and", "water", "bake", "it")


def count(module):
    return sum(p.numel() for p in module.parameters())


def small(**config):
    torch.manual_seed(0)
    sizes = {"embedding_size": 12, "vector_size": 6, "hidden_size": 7, "ingredient_size": 5}
    return fastcv.create_model(
        "im2recipe_resnet18",
        **{"words": WORDS, "num_classes": 4, "width": 4, **sizes, **config},
    )


def dough(vectors=None):
    return WrittenRecipe(("flour", "water"), ("Mix flour and water.", "Bake it."), vectors)


def recipes_of(*lengths):
    generator = torch.Generator().manual_seed(3)
    return [
        WrittenRecipe(WORDS[: 1 + n % 4], vectors=torch.randn(n, 6, generator=generator))
        for n in lengths
    ]


# Counts and keys.


def test_counts():
    with torch.device("meta"):
        model = fastcv.create_model("im2recipe_resnet50", words=[f"w{i}" for i in range(96)])
    parts = {name: count(part) for name, part in model.named_children() if part is not None}
    table = model.ingRNN_.embs.weight.numel()
    assert table == 300 * (96 + 4)
    assert sum(parts.values()) - table == 38_186_008
    assert parts == {
        "visionMLP": 23_508_032,
        "visual_embedding": 2048 * 1024 + 1024,
        "stRNN_": 4 * (2 * 1024 * 1024 + 2 * 1024),
        "ingRNN_": 2 * 4 * (2 * 300 * 300 + 2 * 300) + table,
        "recipe_embedding": 1624 * 1024 + 1024,
        "semantic_branch": 1024 * 1048 + 1048,
    }


def torralbas(rows, *, parallel=True):
    """A state dict as torralba-lab's program writes one, by the shapes of its layers."""
    tensors = {}

    def conv(name, outputs, inputs, kernel):
        tensors[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel)

    def norm(name, channels):
        for part in ("weight", "bias", "running_mean", "running_var"):
            tensors[f"{name}.{part}"] = torch.rand(channels)
        tensors[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def linear(name, outputs, inputs):
        tensors[f"{name}.weight"] = torch.randn(outputs, inputs)
        tensors[f"{name}.bias"] = torch.randn(outputs)

    def lstm(name, inputs, hidden, ends=("",)):
        for end in ends:
            tensors[f"{name}.weight_ih_l0{end}"] = torch.randn(4 * hidden, inputs)
            tensors[f"{name}.weight_hh_l0{end}"] = torch.randn(4 * hidden, hidden)
            tensors[f"{name}.bias_ih_l0{end}"] = torch.randn(4 * hidden)
            tensors[f"{name}.bias_hh_l0{end}"] = torch.randn(4 * hidden)

    trunk = "visionMLP.module" if parallel else "visionMLP"
    conv(f"{trunk}.0", 64, 3, 7)
    norm(f"{trunk}.1", 64)
    inputs = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 * 2**stage
        for block in range(blocks):
            at = f"{trunk}.{4 + stage}.{block}"
            for i, (o, n, k) in enumerate(
                [(width, inputs, 1), (width, width, 3), (4 * width, width, 1)], 1
            ):
                conv(f"{at}.conv{i}", o, n, k)
                norm(f"{at}.bn{i}", o)
            if block == 0:
                conv(f"{at}.downsample.0", 4 * width, inputs, 1)
                norm(f"{at}.downsample.1", 4 * width)
            inputs = 4 * width
    linear("visual_embedding.0", 1024, 2048)
    lstm("stRNN_.lstm", 1024, 1024)
    lstm("ingRNN_.irnn", 300, 300, ("", "_reverse"))
    tensors["ingRNN_.embs.weight"] = torch.randn(rows, 300)
    linear("recipe_embedding.0", 1024, 1624)
    linear("semantic_branch", 1048, 1024)
    return tensors


@pytest.mark.parametrize("parallel", [True, False])
def test_torralba_labs_file_loads_strictly(tmp_path, parallel):
    theirs = torralbas(6, parallel=parallel)
    path = tmp_path / "model_e220.pth.tar"
    torch.save({"epoch": 220, "state_dict": theirs, "best_val": 4.7}, path)
    model = fastcv.create_model("im2recipe_resnet50", str(path), words=WORDS)
    trunk = "visionMLP.module" if parallel else "visionMLP"
    for mine, key in {
        "visionMLP.conv1.weight": f"{trunk}.0.weight",
        "visionMLP.layer1.0.downsample.1.running_var": f"{trunk}.4.0.downsample.1.running_var",
        "visionMLP.layer4.2.conv3.weight": f"{trunk}.7.2.conv3.weight",
        "ingRNN_.irnn.weight_hh_l0_reverse": "ingRNN_.irnn.weight_hh_l0_reverse",
        "semantic_branch.bias": "semantic_branch.bias",
    }.items():
        assert torch.equal(model.state_dict()[mine], theirs[key])
    table, given = model.ingRNN_.embs.weight, theirs["ingRNN_.embs.weight"]
    assert torch.equal(table[0], given[0])  # padding
    assert torch.equal(table[model.vocabulary.id_of("<end>")], given[1])  # the end of a list
    for i, word in enumerate(WORDS):
        assert torch.equal(table[model.vocabulary.id_of(word)], given[i + 2])


def test_a_vocabulary_of_another_size_than_the_weights(tmp_path):
    path = tmp_path / "theirs.pth"
    torch.save(torralbas(30), path)
    with pytest.raises(ValueError, match="vectors of 28 ingredients, and the model has 4 words"):
        fastcv.create_model("im2recipe_resnet50", str(path), words=WORDS)
    fastcv.save_model(tmp_path / "ours.safetensors", small())
    with pytest.raises(ValueError, match="vectors of 4 ingredients, and the model has 2 words"):
        fastcv.create_model(
            "im2recipe_resnet18", str(tmp_path / "ours.safetensors"), words=("a", "b")
        )


def test_the_words_come_back_with_the_weights(tmp_path):
    model = small(instruction_words=STEPS, word_size=4).eval()
    fastcv.save_model(tmp_path / "m.safetensors", model)
    loaded = fastcv.create_model("im2recipe_resnet18", weights=str(tmp_path / "m.safetensors"))
    assert loaded.vocabulary == model.vocabulary
    assert loaded.sentences.vocabulary == model.sentences.vocabulary
    assert torch.equal(loaded.embed_texts(dough()), model.embed_texts(dough()))


# The encoders.


def lstm_by_hand(lstm, rows, end=""):
    """The last state over rows ``[T, D]``, a step at a time; torch's order of gates: i, f, g, o."""
    w_ih, w_hh, b_ih, b_hh = (
        getattr(lstm, f"{name}_l0{end}")
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    h = c = torch.zeros(w_hh.shape[1])
    for x in rows:
        i, f, g, o = (w_ih @ x + b_ih + w_hh @ h + b_hh).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    return h


def test_recipes_step_by_step():
    """Instructions first, then ingredients from both ends; padding of a batch changes nothing."""
    model = small().eval()
    given = recipes_of(3, 1, 5)
    with torch.no_grad():
        found = model.text_vectors(given)
        for recipe, vector in zip(given, found, strict=True):
            ids = [model.vocabulary.id_of(word) for word in (*recipe.ingredients, "<end>")]
            rows = model.ingRNN_.embs.weight[ids]
            read = torch.cat(
                [
                    lstm_by_hand(model.stRNN_.lstm, recipe.vectors),
                    lstm_by_hand(model.ingRNN_.irnn, rows),
                    lstm_by_hand(model.ingRNN_.irnn, rows.flip(0), "_reverse"),
                ]
            )
            layer = model.recipe_embedding[0]
            expected = (layer.weight @ read + layer.bias).tanh()
            torch.testing.assert_close(vector, expected / expected.norm(), atol=1e-6, rtol=1e-5)


def test_pictures():
    model = small().eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        layer = model.visual_embedding[0]
        mean = model.visionMLP(images)[-1].flatten(2).mean(2)
        expected = (mean @ layer.weight.T + layer.bias).tanh()
        found = model(images)
    torch.testing.assert_close(found, expected / expected.norm(dim=1, keepdim=True))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))


def test_ingredients_are_read_whole_or_word_by_word():
    model = small()

    def ids(*ingredients):
        found = model.ingredient_ids(WrittenRecipe(ingredients, ("mix",)))
        return [model.vocabulary.words[i] for i in found]

    assert ids("olive oil") == ids("Olive_Oil") == ["olive_oil", "<end>"]
    assert ids("sea salt", "flour") == ["salt", "flour", "<end>"]  # what is not known is left out
    assert ids("flour", "flour", "salt") == ["flour", "salt", "<end>"]  # each once


def test_instructions_are_encoded_where_no_vectors_are_given():
    model = small(instruction_words=STEPS, word_size=4).eval()
    vectors = model.sentences.encode(dough().instructions)
    assert vectors.shape == (2, 6)
    given = model.with_vectors(dough())
    assert torch.equal(given.vectors, vectors) and given.instructions == dough().instructions
    assert torch.equal(model.embed_texts(given), model.embed_texts(dough()))
    assert not any(p.requires_grad for p in model.sentences.parameters())


def test_word_vectors_start_the_table():
    model = small()
    before = model.ingRNN_.embs.weight.detach().clone()
    vectors = WordVectors(["flour", "water", "sky"], torch.randn(3, 5))
    assert model.take_word_vectors(vectors) == ["salt", "olive_oil"]
    table = model.ingRNN_.embs.weight
    assert torch.equal(table[model.vocabulary.id_of("water")], vectors["water"])
    salt = model.vocabulary.id_of("salt")
    assert torch.equal(table[salt], before[salt]) and torch.equal(table[:4], before[:4])
    with pytest.raises(ValueError, match="vectors must have 5 numbers each, got 3"):
        model.take_word_vectors(WordVectors(["a"], torch.randn(1, 3)))


# The loss.


def loss_by_hand(images, recipes, logits_of, targets, count):
    """Of lists of numbers."""
    total = 0.0
    for a, b, match in zip(images, recipes, targets.match.tolist(), strict=True):
        cosine = sum(x * y for x, y in zip(a, b, strict=True))
        total += 1 - cosine if match else max(0.0, cosine - 0.1)
    terms = {"cosine": 0.98 * total / len(images)}
    labels = {"image": targets.image_labels.tolist(), "recipe": targets.recipe_labels.tolist()}
    for name, rows in (("image", images), ("recipe", recipes)):
        entropies = []
        for row, label in zip(rows, labels[name], strict=True):
            if label:  # class 0 has weight 0
                logits = logits_of(row)
                total = math.log(sum(math.exp(x) for x in logits))
                entropies.append(total - logits[label])
        terms[f"{name}_class"] = 0.01 * sum(entropies) / max(len(entropies), 1)
    return terms


@pytest.mark.parametrize("labels", [[1, 0, 3, 2, 0], [0] * 5])
def test_loss_by_hand(labels):
    model = small()
    given = recipes_of(3, 1, 2, 2, 4)
    output = F.normalize(torch.randn(5, 12), dim=1)
    recipes = model.text_vectors(given).detach()
    output[3] = recipes[3]  # cosine 1, and no match: beyond the margin
    targets = PairTargets(
        given,
        torch.tensor([True, False, True, False, False]),
        torch.tensor(labels),
        torch.tensor(labels[::-1]),
    )
    weight, bias = (p.tolist() for p in model.semantic_branch.parameters())

    def logits_of(row):
        return [
            sum(x * w for x, w in zip(row, weights, strict=True)) + b
            for weights, b in zip(weight, bias, strict=True)
        ]

    expected = loss_by_hand(output.tolist(), recipes.tolist(), logits_of, targets, 4)
    found = model.loss(output, targets)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, abs=1e-6)
    # torch's own, where it is defined.
    cosine = F.cosine_embedding_loss(output, recipes, targets.match.float() * 2 - 1, margin=0.1)
    assert found["cosine"].item() == pytest.approx(0.98 * cosine.item(), abs=1e-6)
    # Without kinds the cosine is all of it.
    plain = small(semantic=False)
    plain.load_state_dict(
        {k: v for k, v in model.state_dict().items() if not k.startswith("semantic")}
    )
    alone = plain.loss(output, targets)
    assert list(alone) == ["cosine"]
    assert alone["cosine"].item() == pytest.approx(expected["cosine"] / 0.98, abs=1e-6)


def test_wrong_targets():
    model = small()
    given = recipes_of(1, 2)
    output, yes, labels = torch.randn(2, 12), torch.tensor([True, False]), torch.tensor([1, 2])
    right = PairTargets(given, yes, labels, labels)
    for wrong, kind, words in (
        (None, TypeError, "targets must be PairTargets, got NoneType"),
        (right._replace(recipes=given[:1]), ValueError, "targets must have 2 recipes"),
        (right._replace(recipes=[1, 2]), TypeError, "targets: a recipe must be a WrittenRec"),
        (right._replace(match=yes[:1]), ValueError, r"match of targets must be bool \[2\]"),
        (right._replace(match=[1, 0]), TypeError, "match of targets must be a tensor, got list"),
        (right._replace(match=labels), ValueError, "match of targets must be bool"),
        (right._replace(image_labels=labels.float()), ValueError, "labels of targets must be int"),
        (right._replace(recipe_labels=labels + 9), ValueError, "labels of targets must be 0 to 3"),
    ):
        with pytest.raises(kind, match=words):
            model.loss(output, wrong)


# Bad recipes.


def test_bad_recipes():
    ready, blind = small(instruction_words=STEPS, word_size=4), small()
    many = WrittenRecipe(("flour",), ("bake it",) * 30)
    for call, kind, words in (
        (lambda: WrittenRecipe((), ("mix",)), ValueError, "this recipe has none"),
        (lambda: WrittenRecipe(("flour",)), ValueError, "instructions must be one or more"),
        (lambda: WrittenRecipe("flour", ("mix",)), TypeError, "several texts"),
        (lambda: WrittenRecipe(("flour",), "mix"), TypeError, "several texts"),
        (lambda: WrittenRecipe(("flour", " "), ("mix",)), ValueError, "empty texts, number 1 is"),
        (lambda: WrittenRecipe(("flour",), ("mix", "")), ValueError, "empty texts, number 1 is"),
        (lambda: WrittenRecipe((3,), ("mix",)), TypeError, "several texts"),
        (lambda: dough(torch.zeros(3, 6)), ValueError, "2 instructions, and 3 vectors"),
        (lambda: dough(torch.zeros(2, 6).int()), ValueError, "floating point of shape"),
        (lambda: dough(torch.zeros(2)), ValueError, r"shape \[N, D\].*got torch.float32 \[2\]"),
        (lambda: WrittenRecipe(("a",), vectors=torch.zeros(0, 6)), ValueError, "N 1 or more"),
        (
            lambda: ready.embed_texts(dough(torch.zeros(2, 5))),
            ValueError,
            r"vectors must be \[N, 6\], as the model was built for, got \[2, 5\]",
        ),
        (lambda: blind.embed_texts(dough()), ValueError, "vectors must be given"),
        (
            lambda: ready.embed_texts(WrittenRecipe(("소금", "밀가루"), ("mix",))),
            ValueError,
            "none of '소금, 밀가루' is among the 8 words",
        ),
        (
            lambda: ready.embed_texts(WrittenRecipe(("flour",), ("xyz", "소금"))),
            ValueError,
            "instructions must have a word that is known, and none of these 2",
        ),
        (lambda: ready.embed_texts(7), TypeError, "must be a WrittenRecipe or JSON, got int"),
        (lambda: ready.embed_texts("flour"), ValueError, "JSON as .*, got 'flour'"),
        (lambda: ready.embed_texts([]), ValueError, "texts must have at least one"),
    ):
        with pytest.raises(kind, match=words) as error:
            call()
        text = str(error.value)
        assert "\n" not in text and not text.endswith(".") and len(text) < 200
    with pytest.warns(UserWarning, match="a recipe of 30 instructions was cut to its first 20"):
        ready.embed_texts(many)
    lots = small(words=[f"w{chr(97 + i)}" for i in range(26)])
    long = WrittenRecipe([f"w{chr(97 + i)}" for i in range(26)], vectors=torch.zeros(1, 6))
    with pytest.warns(UserWarning, match="a recipe of 26 ingredients was cut to its first 19"):
        assert len(lots.ingredient_ids(long)) == 20
    with pytest.warns(UserWarning, match="a text of 10000 words was cut to its first 1000"):
        ready.embed_texts(WrittenRecipe(("flour",), ("bake " * 10_000,)))


def test_unicode_and_words_that_nobody_knows():
    model = small(words=("café", "소금"), instruction_words=("굽다", "mix"), word_size=4).eval()
    composed, decomposed = (WrittenRecipe((form,), ("mix",)) for form in ("café", "cafe\u0301"))
    assert torch.equal(model.embed_texts(composed), model.embed_texts(decomposed))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        salted = model.embed_texts(WrittenRecipe(("소금",), ("굽다", "xyz")))
    assert salted.isfinite().all()


# Search and training.


def test_both_ways():
    model = small(instruction_words=STEPS, word_size=4)
    candidates = [dough(), WrittenRecipe(("salt",), ("bake it",))]
    (found,) = model.predict(torch.rand(3, 40, 50), texts=candidates)
    assert sorted(found.texts) == sorted(model.title(text) for text in candidates)
    assert model.title(dough()) == "flour, water: Mix flour and water., Bake it."
    assert model.title(recipes_of(2)[0]) == "flour, salt, olive_oil"
    (found,) = model.search(dough(), [torch.rand(3, 40, 50)] * 3, k=2)
    assert len(found) == 2 and found.text == model.title(dough())
    json.dumps(found.to_dict())


class Patches(Dataset):
    """Plain pictures; what is bright is flour, what is dark is water."""

    classes = ("none", "dark", "bright")

    def __len__(self):
        return 2  # so that another picture is always of the other kind

    def __getitem__(self, index):
        bright = index % 2
        image = torch.full((3, 32, 32), 0.2 + 0.6 * bright)
        recipe = WrittenRecipe(
            (("water", "flour")[bright],), vectors=torch.full((2, 6), bright - 0.5)
        )
        return image + 0.05 * torch.rand(3, 32, 32), Labelled(recipe, 1 + bright)


class Labelled:
    def __init__(self, recipe, label):
        self.recipe, self.label = recipe, label


def trained(folder, **options):
    model = small(num_classes=3)
    model.preprocessing = {**model.preprocessing, "resize": 32, "crop": 32}
    history = fit(
        model,
        ConcatDataset([MismatchedPairs(Patches(), 0.5)] * 8),
        batch_size=8,
        collate_fn=model.collate,
        out=folder,
        devices="cpu",
        progress=False,
        tensorboard=False,
        **{
            "epochs": 12,
            "optimizer": lambda p: torch.optim.Adam(model.halves(), lr=3e-3),
            **options,
        },
    )
    return model, history


def test_learns(tmp_path):
    model, history = trained(tmp_path, epochs=24, optimizer=partial(torch.optim.Adam, lr=1e-2))
    terms = [row["cosine"] for row in history.steps]
    assert sum(terms[-4:]) < 0.5 * sum(terms[:4])
    images, recipes = zip(*[Patches()[i] for i in range(2)], strict=True)
    vectors = model.embed_images(list(images)) @ model.embed_texts([r.recipe for r in recipes]).T
    assert vectors[0].argmax() == 0 and vectors[1].argmax() == 1


def state_of(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def changed(before, after, part):
    keys = [k for k in before if k.startswith(part) and "running" not in k and "num_b" not in k]
    return any(not torch.equal(before[k], after[k]) for k in keys)


def test_halves_are_all_that_learns():
    model = small(instruction_words=STEPS, word_size=4)
    rest, trunk = (group["params"] for group in model.halves())
    assert {id(p) for p in trunk} == {id(p) for p in model.visionMLP.parameters()}
    learns = {id(p) for p in model.parameters() if p.requires_grad}
    assert {id(p) for p in rest} == learns - {id(p) for p in trunk}


def test_halves_learn_one_after_the_other(tmp_path):
    """First all but the ResNet; after an evaluation without a better metric the ResNet alone."""
    states, values = [], iter([5.0, 5.0, 5.0])

    def evaluate(model, data):
        states.append(state_of(model))
        return {"MedR": next(values)}

    turns = AlternateOnPlateau("MedR")
    start = state_of(small(num_classes=3))
    trained(tmp_path, epochs=3, scheduler=turns, evaluate=turns.watching(evaluate))
    first, second, third = states
    for before, after, learns, rests in (
        (start, first, "recipe_embedding", "visionMLP"),
        (first, second, "recipe_embedding", "visionMLP"),
        (second, third, "visionMLP", "recipe_embedding"),
        (second, third, "visionMLP", "visual_embedding"),
        (second, third, "visionMLP", "semantic_branch"),
    ):
        assert changed(before, after, learns) and not changed(before, after, rests)

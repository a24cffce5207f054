"""BLEU, ROUGE-L and CIDEr-D by hand; against sacrebleu and COCO's program where installed."""

import math
import random

import pytest
import torch

import fastcv
from fastcv.metrics import evaluate_captioner, evaluate_captions
from fastcv.metrics.captions import bleu, caption_words, cider_d, rouge_l

CAT = "the cat is on the mat"


def test_the_papers_example_of_clipping():
    """Papineni et al., section 2.1: seven times "the", of which two count."""
    found = evaluate_captions(["the the the the the the the"], [[CAT, "there is a cat on the mat"]])
    assert found["BLEU-1"] == pytest.approx(2 / 7) and found["BLEU-2"] == 0


def test_bleu_by_hand():
    """5 of 6 words, 3 of 5, 2 of 4, 1 of 3; as long as the reference."""
    found = evaluate_captions(["the cat was on the mat"], [["the cat is on the mat"]])
    precisions = [5 / 6, 3 / 5, 1 / 4, 0]
    assert found["BLEU-3"] == pytest.approx(math.prod(precisions[:3]) ** (1 / 3))
    assert found["BLEU-4"] == 0
    longer = bleu(["a b c d e f"], [["a b c d e g"]])
    assert longer == pytest.approx((5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25)


@pytest.mark.parametrize(
    ("lengths", "nearest"), [((3, 9), 3), ((4, 6), 4), ((6, 4), 4), ((5, 9), 5), ((9, 7), 7)]
)
def test_brevity_takes_the_nearest_length(lengths, nearest):
    """Of a caption of five words; of two as near, the shorter."""
    references = [["a b c d e f g h i"[: 2 * n - 1] for n in lengths]]
    penalty = 1 if nearest <= 5 else math.exp(1 - nearest / 5)
    found = evaluate_captions(["a b c d e"], references)["BLEU-1"]
    assert found == pytest.approx(penalty * min(max(lengths), 5) / 5)


def test_sums_are_over_the_corpus():
    """Not the mean of sentences: 4 + 1 of 4 + 4 words."""
    found = evaluate_captions(["a b c d", "e x y z"], [["a b c d"], ["e f g h"]])
    assert found["BLEU-1"] == pytest.approx(5 / 8)


def test_cider_d_by_hand():
    """Two pictures: what one alone has weighs log 2, what both have nothing."""
    references = [["a red cat"], ["a blue dog"]]
    same, less = cider_d(["a red cat", "a blue"], references)
    # n = 1: (red, cat) both; n = 2, 3 whole; no 4-gram. So 3 of 4 are 1.
    assert same == pytest.approx(10 * 3 / 4)
    # n = 1: blue of (blue, dog); n = 2: "a blue" of ("a blue", "blue dog"); a word less.
    length = math.exp(-1 / 72)
    assert less == pytest.approx(10 / 4 * length * 2 / math.sqrt(2))
    # Said three times, "red" counts as once: min(3, 1) * 1 by 3 * sqrt(2), two words more: n = 1.
    again = cider_d(["red red red", "x"], [["red cat"], ["a blue dog"]])[0]
    assert again == pytest.approx(10 / 4 * math.exp(-1 / 72) / (3 * math.sqrt(2)))


def test_cider_d_of_several_references():
    references = [["a red cat", "one green bird"], ["a blue dog"]]
    assert cider_d(["a red cat", "a blue dog"], references)[0] == pytest.approx(10 * 3 / 4 / 2)


def test_rouge_l_by_hand():
    """Lin, section 3.1: "police the gunman" has two of four words in order; b is 1.2 here."""
    reference = "police killed the gunman"
    first, second = rouge_l(
        ["police kill the gunman", "the gunman kill police"], [[reference], [reference]]
    )
    assert first == pytest.approx(3 / 4) and second == pytest.approx(2 / 4)
    # 4 of 4 words in a reference of 8, 3 of 4 in one of 4: precision 1, recall 3/4, of two.
    (found,) = rouge_l(["a b c d"], [["a b c d x y z w", "b x c d"]])
    assert found == pytest.approx(2.44 * 1 * (3 / 4) / (3 / 4 + 1.44 * 1))
    assert rouge_l(["", "a", "x"], [["a"], ["", "a"], ["a"]]) == [0, 1, 0]


def test_rouge_l_by_trying_all_subsequences():
    predictions, references = random_captions(3, count=10)
    for prediction, (reference, *_) in zip(predictions, references, strict=True):
        words, others = prediction.split(), reference.split()
        longest = 0
        for chosen in range(1 << len(words)):
            some = [word for i, word in enumerate(words) if chosen >> i & 1]
            rest = iter(others)
            if all(word in rest for word in some):
                longest = max(longest, len(some))
        p, r = longest / len(words), longest / len(others)
        expected = 2.44 * p * r / (r + 1.44 * p) if longest else 0
        assert rouge_l([prediction], [[reference]]) == [pytest.approx(expected)]


def test_signs_and_case_do_not_count():
    assert caption_words("A man's dog, 2.5 m -- HIGH!") == ["a", "man's", "dog", "2.5", "m", "high"]
    assert evaluate_captions(["고양이가 있다"], [["고양이가 있다."]])["BLEU-2"] == 1
    plain, signed = (evaluate_captions([t], [[CAT]]) for t in (CAT, "The cat, is on the mat!"))
    assert plain == signed


def test_empty_captions_get_nothing():
    found = evaluate_captions(["", "a dog"], [["a cat"], ["a dog"]])
    assert found["BLEU-1"] == pytest.approx(math.exp(1 - 4 / 2)) and found["CIDEr-D"] > 0
    assert set(evaluate_captions([""], [["a cat"]]).values()) == {0.0}


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([], [], "one or more: got 0"),
        (["a"], [["a"], ["b"]], "got 1, and references of 2"),
        (["a", "b"], [["a"], []], "those of 1 are not"),
        (["a"], ["a cat"], "those of 0 are not"),
    ],
)
def test_bad_arguments(predictions, references, message):
    for metric in (evaluate_captions, bleu, rouge_l, cider_d):
        with pytest.raises(ValueError, match=message):
            metric(predictions, references)


def random_captions(seed, count=40):
    draw = random.Random(seed)

    def caption():
        return " ".join(draw.choices(["a", "the", "cat", "sits"], k=draw.randint(4, 12)))

    return [caption() for _ in range(count)], [[caption() for _ in range(5)] for _ in range(count)]


def test_against_sacrebleu():
    sacrebleu = pytest.importorskip("sacrebleu", reason="sacrebleu is not installed")
    for seed in range(5):
        predictions, references = random_captions(seed)
        peer = sacrebleu.metrics.BLEU(tokenize="none", smooth_method="none")
        theirs = peer.corpus_score(predictions, list(map(list, zip(*references, strict=True))))
        assert bleu(predictions, references) == pytest.approx(theirs.score / 100, abs=1e-6)
        assert 0 < theirs.score < 100


def test_against_cocos_program():
    """Its metrics by themselves, for its tokenizer needs Java; what it calls CIDEr is CIDEr-D."""
    reason = "pip install --no-deps pycocoevalcap==1.2 brings COCO's program"
    pytest.importorskip("pycocoevalcap", reason=reason)
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    for seed in range(5):
        predictions, references = random_captions(seed)
        found = evaluate_captions(predictions, references)
        theirs = dict(enumerate(references)), {i: [text] for i, text in enumerate(predictions)}
        bleus, _ = Bleu(4).compute_score(*theirs, verbose=0)
        assert [found[f"BLEU-{n}"] for n in range(1, 5)] == pytest.approx(bleus, abs=1e-6)
        assert found["ROUGE-L"] == pytest.approx(Rouge().compute_score(*theirs)[0], abs=1e-6)
        mean, each = Cider().compute_score(*theirs)
        assert found["CIDEr-D"] == pytest.approx(mean, abs=1e-6) and mean > 0
        assert cider_d(predictions, references) == pytest.approx(list(each), abs=1e-6)


def test_a_captioner_is_as_its_sentences():
    torch.manual_seed(1)
    model = fastcv.create_model("show_and_tell_resnet18", words=("a", "cat", "mat"), width=4)
    with torch.no_grad():
        model.fc.weight.mul_(30)
    data = [(torch.rand(3, 20 + i, 30), [f"a cat {i}", "a mat"]) for i in range(3)]
    found = evaluate_captioner(model, data, batch_size=2, method="beam", max_words=5)
    said = model.predict([image for image, _ in data], method="beam", max_words=5)
    expected = evaluate_captions([c.text for c in said], [texts for _, texts in data])
    assert found == pytest.approx(expected)
    with pytest.raises(ValueError, match="predictions must be one for each picture, one or more"):
        evaluate_captioner(model, [])

"""predict: every form of input gives the same answer, and the model is left as it was."""

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.images import BrokenImageError
from fastcv.models import ImageModel
from fastcv.results import Classification, Detections


class Means(ImageModel):
    """Scores a picture by its mean; notes the batches it is given."""

    classes = ("background", "thing")

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.frozen = torch.nn.BatchNorm2d(3).eval()
        self.batches = []

    def forward(self, images):
        self.batches.append([(tuple(i.shape), i.dtype) for i in images])
        assert not self.training and not torch.is_grad_enabled()
        return [(i.mean() * self.weight[0], i.shape[-2:]) for i in images]

    def postprocess(self, output, *, score_threshold=0.05):
        box = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
        return [
            Detections(box, s[None], torch.tensor([1]), self.classes, tuple(size))[
                s[None] > score_threshold
            ]
            for s, size in output
        ]


PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
MEAN = float(PIXELS.astype(np.float64).mean() / 255)
TENSOR = torch.from_numpy(PIXELS).permute(2, 0, 1)
FORMS = {
    "PIL": Image.fromarray(PIXELS),
    "numpy": PIXELS,
    "uint8": TENSOR,
    "float32": TENSOR / 255,
    "float64": TENSOR.double() / 255,
    "strided": torch.from_numpy(np.ascontiguousarray(PIXELS[:, ::-1])).permute(2, 0, 1).flip(2),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_alone(form):
    model = Means()
    (found,) = model.predict(FORMS[form])
    assert found.scores.item() == pytest.approx(MEAN, abs=1e-6)
    assert found.image_size == (4, 6) and found.source is None
    assert model.batches == [[((3, 4, 6), torch.float32)]]


def test_a_mixture_in_batches(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    Image.fromarray(PIXELS[:2]).save(tmp_path / "b.png")
    inputs = [tmp_path / "a.png", str(tmp_path / "b.png"), *FORMS.values()]
    model = Means()
    found = model.predict(inputs, batch_size=3)
    assert [len(batch) for batch in model.batches] == [3, 3, 2]
    assert [f.image_size for f in found] == [(4, 6), (2, 6)] + [(4, 6)] * 6
    expected = [MEAN, float(PIXELS[:2].astype(np.float64).mean() / 255)] + [MEAN] * 6
    assert [f.scores.item() for f in found] == pytest.approx(expected, abs=1e-6)
    assert [f.source for f in found] == [str(tmp_path / n) for n in ("a.png", "b.png")] + [None] * 6


def test_gray_and_batch_tensors():
    assert Means().predict(PIXELS[:, :, 0])[0].image_size == (4, 6)
    assert len(Means().predict(TENSOR[None].expand(5, -1, -1, -1), batch_size=2)) == 5
    assert len(Means().predict(np.stack([PIXELS] * 3))) == 3
    assert Means().predict([]) == []


def test_the_models_dtype():
    model = Means().double()
    model.predict([TENSOR, TENSOR / 255])
    assert {dtype for batch in model.batches for _, dtype in batch} == {torch.float64}


def test_the_model_is_left_as_it_was():
    model = Means().train()
    model.frozen.eval()
    model.predict(TENSOR)
    assert model.training and not model.frozen.training
    model.forward = lambda images: 1 / 0
    with pytest.raises(ZeroDivisionError):
        model.predict(TENSOR)
    assert model.training and not model.frozen.training


def test_options():
    model = Means()
    assert len(model.predict(TENSOR, score_threshold=0.99)[0]) == 0
    taken = "its options are batch_size, progress, score_threshold"
    with pytest.raises(TypeError, match=f"predict of Means does not take 'threshold': {taken}"):
        model.predict(TENSOR, threshold=1)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        model.predict(TENSOR, batch_size=0)
    assert model.batches[1:] == []


def test_progress(capsys):
    Means().predict([TENSOR] * 3, progress=True)
    assert "3/3" in capsys.readouterr().err
    Means().predict([TENSOR] * 3)
    assert capsys.readouterr().err == ""


def test_bad_inputs(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(BrokenImageError, match=r"a\.png is not an image that can be read"):
        Means().predict(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match=r"there is no image .*b\.png"):
        Means().predict(tmp_path / "b.png")
    with pytest.raises(TypeError, match=r"must be a path, PIL image, .* got builtins\.int"):
        Means().predict([1])


# One by one.


def test_results_one_by_one(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    inputs = [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png", TENSOR]
    model = Means().train()
    found = list(model.predict_iter(inputs, batch_size=3, on_error="yield"))
    assert [item for item, _ in found] == inputs and model.training
    outcomes = [outcome for _, outcome in found]
    assert [type(o).__name__ for o in outcomes] == [
        "Detections",
        "BrokenImageError",
        "FileNotFoundError",
        "Detections",
    ]
    assert outcomes[0].source == str(tmp_path / "a.png")
    assert outcomes[3].scores.item() == pytest.approx(MEAN, abs=1e-6)
    assert [len(batch) for batch in model.batches] == [1, 1]
    with pytest.raises(BrokenImageError):
        list(model.predict_iter(inputs))


def test_inputs_are_asked_for_as_they_are_needed():
    asked = []

    def pictures():
        for i in range(100):
            asked.append(i)
            yield TENSOR

    model = Means().train()
    found = model.predict_iter(pictures(), batch_size=2)
    assert asked == []
    next(found)
    assert asked == [0, 1] and model.training  # as it was, between two results
    assert len(list(found)) == 99


def test_mistakes_of_the_call_show_at_once():
    with pytest.raises(ValueError, match="on_error must be 'raise' or 'yield', got 'skip'"):
        Means().predict_iter([TENSOR], on_error="skip")
    with pytest.raises(TypeError, match="does not take 'threshold'"):
        Means().predict_iter([TENSOR], threshold=1)
    with pytest.raises(ZeroDivisionError):  # a bug is no picture that cannot be read
        model = Means()
        model.forward = lambda images: 1 / 0
        list(model.predict_iter([TENSOR], on_error="yield"))


def test_results_know_their_pictures_size():
    class Sorter(ImageModel):
        def forward(self, images):
            return torch.tensor([[0.5, 0.5]])

        def postprocess(self, output):
            return [Classification(scores, ("a", "b")) for scores in output]

    assert Sorter().predict(TENSOR)[0].image_size == (4, 6)


# Clips.


class RunningMean(Means):
    """Carries the mean over the frames so far."""

    def predict_frame(self, frame, state, *, score_threshold=0.05):
        seen = [*(state or []), frame.float().mean() / 255]
        ((_, size),) = self([self.as_float(frame)])
        return self.postprocess([(torch.stack(seen).mean(), size)])[0], seen


def test_every_frame_of_a_clip():
    clip = torch.stack([TENSOR, TENSOR // 2])
    model = Means().train()
    (first, found), (second, _) = model.predict_video(clip)
    assert torch.equal(first, clip[0]) and torch.equal(second, clip[1]) and model.training
    assert found.scores.item() == pytest.approx(MEAN, abs=1e-6)


def test_state_goes_from_frame_to_frame():
    clip = torch.stack([torch.full((3, 4, 6), v, dtype=torch.uint8) for v in (51, 102, 255)])
    for _ in range(2):  # each call begins anew
        scores = [found.scores.item() for _, found in RunningMean().predict_video(clip)]
        assert scores == pytest.approx([0.2, 0.3, 1.6 / 3], abs=1e-6)


def test_a_clips_bad_input():
    with pytest.raises(TypeError, match="does not take 'threshold'"):
        Means().predict_video(TENSOR[None], threshold=1)
    taken = "progress, score_threshold$"
    with pytest.raises(
        TypeError, match=f"predict_video of Means does not take 'batch_size'.*{taken}"
    ):
        Means().predict_video(TENSOR[None], batch_size=2)
    with pytest.raises(TypeError, match="a clip must be a video file"):
        list(Means().predict_video(7))


def test_a_clips_progress(capsys):
    list(Means().predict_video(TENSOR[None].expand(3, -1, -1, -1), progress=True))
    assert "3/3" in capsys.readouterr().err


@pytest.mark.cuda
def test_on_a_gpu():
    model = Means().cuda()
    found = model.predict([PIXELS, TENSOR.cuda()])
    assert [f.scores.item() for f in found] == pytest.approx([MEAN] * 2, abs=1e-6)
    assert found[0].scores.is_cuda

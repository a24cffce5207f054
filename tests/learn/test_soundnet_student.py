"""A SoundNet that two image classifiers teach: by the definition, and bit-identical teachers."""

import pytest
import torch

from fastcv.data import SoundingClip
from fastcv.learn import SoundNetStudent, fit
from fastcv.models import create_model

pytestmark = pytest.mark.usefixtures("quick_curves")

SHORT = {"width": 1, "pools": (4, 4, 4), "head_kernel": 2, "rate": 16000}


def make(num_classes=3, num_scenes=2):
    torch.manual_seed(0)
    student = create_model("soundnet8", num_classes=num_classes, num_scenes=num_scenes, **SHORT)
    teachers = [create_model("resnet18", num_classes=count, width=2) for count in (3, 2)]
    for teacher in teachers:
        teacher.preprocessing = {**teacher.preprocessing, "resize": 32, "crop": 32}
        teacher(torch.rand(4, 3, 32, 32))  # its norms have statistics of their own
    return SoundNetStudent(student, *teachers)


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return SoundingClip(torch.rand(3, 1, 3, 32, 32), torch.rand(3, 16000) - 0.5)


def test_the_teachers_answers_are_the_targets(batch):
    model = make().train()
    output = model(batch)
    for teacher, found in ((model.objects, output.objects), (model.scenes, output.scenes)):
        for i, frames in enumerate(batch.frames):
            expected = teacher.predict(frames[0])[0].scores
            torch.testing.assert_close(found[i, :, 0], expected)
    losses = model.loss(output, None)
    for name, logits, teacher in zip(losses, output.student, output[1:], strict=True):
        student = logits.softmax(dim=1)
        apart = (teacher * (teacher.log() - student.log())).sum(dim=1)
        torch.testing.assert_close(losses[name], 250 * apart.mean())


def test_several_frames_keep_their_order():
    model = make().train()
    waves = torch.rand(2, 40000) - 0.5
    steps = model.student(waves).objects.shape[2]
    assert steps > 1
    frames = torch.rand(2, steps, 3, 32, 32)
    output = model(SoundingClip(frames, waves))
    expected = model.objects.predict(frames[1, 1])[0].scores
    torch.testing.assert_close(output.objects[1, :, 1], expected)


def test_in_eval_mode_it_is_the_student(batch):
    model = make().eval()
    torch.testing.assert_close(model(batch).objects, model.student(batch.waves).objects)


class Clips(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        torch.manual_seed(index)
        return SoundingClip(torch.rand(1, 3, 32, 32), torch.rand(16000) - 0.5), index


def test_fit_leaves_the_teachers_bit_identical(tmp_path):
    model = make()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fit(
        model,
        Clips(),
        epochs=1,
        batch_size=2,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.01),
        out=tmp_path,
        devices="cpu",
        progress=False,
        tensorboard=False,
    )
    after = model.state_dict()
    for key, value in before.items():
        if key.startswith("student."):
            continue
        assert torch.equal(after[key], value), key
    assert not torch.equal(after["student.conv1.weight"], before["student.conv1.weight"])


def test_other_numbers_of_classes():
    for numbers, words in (
        ((4, 2), "objects must have the student's 4 classes, got 3"),
        ((3, 5), "scenes must have the student's 5 classes, got 2"),
    ):
        with pytest.raises(ValueError, match=words):
            make(*numbers)


def test_bad_batches(batch):
    model = make().train()
    with pytest.raises(TypeError, match="batch must be SoundingClip, got tuple"):
        model(tuple(batch))
    for wrong in (torch.rand(3, 2, 3, 32, 32), torch.rand(2, 1, 3, 32, 32), torch.rand(3, 3, 9, 9)):
        with pytest.raises(ValueError, match=r"frames must be \[3, 1, 3, H, W\], one for each tim"):
            model(batch._replace(frames=wrong))

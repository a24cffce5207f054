"""fastcv.export_onnx of generators: onnxruntime makes the pictures that sample makes."""

import onnxruntime
import pytest
import torch

import fastcv

CASES = {
    "dcgan": ("dcgan_64", {"size": 16, "width": 4}),
    "cgan": ("cgan", {"size": 8, "width": 4}),
    "without random numbers": (
        "cgan", {"size": 8, "width": 4, "condition": "concatenation", "latent_size": 0}
    ),
    "progan": ("progan_256", {"channels": (8, 8, 4)}),
    "sentences": ("gan_cls_64", {"size": 8, "width": 4, "words": ["red", "blue"]}),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_pictures_of_any_number_of_latents(case, tmp_path):
    name, config = CASES[case]
    torch.manual_seed(0)
    model = fastcv.create_model(name, **config)
    fastcv.export_onnx(model, tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["pictures"]
    for n in (2, 5):
        feed = {"latents": model.latents(n, seed=1).numpy()}
        if hasattr(model, "embed"):
            made = model.sample("red", n, seed=1)
            feed["vectors"] = model.embed(["red"] * n).numpy()
        else:
            made = model.sample(n, seed=1)
        if made.labels is not None:
            feed["labels"] = made.labels.numpy()
        assert {i.name for i in session.get_inputs()} == set(feed)
        (found,) = session.run(None, feed)
        torch.testing.assert_close(torch.from_numpy(found), made.pictures, atol=1e-5, rtol=1e-4)


def test_an_image_size_is_of_images(tmp_path):
    generator = fastcv.create_model("dcgan_64", size=8, width=4)
    with pytest.raises(TypeError, match="image_size must be left out: DCGAN takes no images"):
        fastcv.export_onnx(generator, tmp_path / "a.onnx", (8, 8))
    with pytest.raises(TypeError, match="image_size must be given: LeNet takes images"):
        fastcv.export_onnx(fastcv.create_model("lenet5"), tmp_path / "a.onnx")
    with pytest.raises(TypeError, match="model must be a classifier, a detector or a segmenter"):
        fastcv.export_onnx(torch.nn.Linear(1, 1), tmp_path / "a.onnx")

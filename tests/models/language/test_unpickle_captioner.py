"""sgrvinod's captioner: pickled modules and a word map, to a file with its vocabulary."""

import json
import os
import sys
import types
import warnings

import pytest
import torch
from torch import nn

import fastcv
from fastcv.models.language.unpickle_captioner import main
from fastcv.nn.backbones.resnet import ResNetTrunk

CODE = """
import torch
from torch import nn

class Encoder(nn.Module):
    def __init__(self, trunk):
        super().__init__()
        self.resnet = trunk
        self.adaptive_pool = nn.AdaptiveAvgPool2d((14, 14))

class Attention(nn.Module):
    def __init__(self, e, d, a):
        super().__init__()
        self.encoder_att, self.decoder_att = nn.Linear(e, a), nn.Linear(d, a)
        self.full_att, self.relu, self.softmax = nn.Linear(a, 1), nn.ReLU(), nn.Softmax(dim=1)

class DecoderWithAttention(nn.Module):
    def __init__(self, a, m, d, v, e):
        super().__init__()
        self.attention = Attention(e, d, a)
        self.embedding = nn.Embedding(v, m)
        self.dropout = nn.Dropout(0.5)
        self.decode_step = nn.LSTMCell(m + e, d, bias=True)
        self.init_h, self.init_c = nn.Linear(e, d), nn.Linear(e, d)
        self.f_beta, self.sigmoid = nn.Linear(d, e), nn.Sigmoid()
        self.fc = nn.Linear(d, v)
"""
WORD_MAP = {"<pad>": 0, "cat": 1, "a": 2, "mat": 3, "<unk>": 4, "<start>": 5, "<end>": 6}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A checkpoint as sgrvinod's training writes it, of a narrow ResNet-101; its classes are gone
    when it is read."""
    folder = tmp_path_factory.mktemp("checkpoint")
    module = types.ModuleType("models")
    exec(CODE, module.__dict__)
    sys.modules["models"] = module
    for name in ("Encoder", "Attention", "DecoderWithAttention"):
        getattr(module, name).__module__ = "models"
    torch.manual_seed(0)
    trunk = ResNetTrunk(101, width=2)
    parts = [trunk.conv1, trunk.bn1, trunk.relu, trunk.maxpool]
    parts += [trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4]
    encoder = module.Encoder(nn.Sequential(*parts))
    decoder = module.DecoderWithAttention(3, 5, 4, len(WORD_MAP), 64)
    adam = torch.optim.Adam(decoder.parameters())
    held = {"epoch": 3, "bleu-4": 0.24, "encoder": encoder, "decoder": decoder}
    held |= {"decoder_optimizer": adam, "encoder_optimizer": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the classes have no source
        torch.save(held, folder / "best.pth.tar")
    del sys.modules["models"]
    (folder / "words.json").write_text(json.dumps(WORD_MAP))
    return folder, encoder, decoder


def run(folder, *, words="words.json", checkpoint="best.pth.tar"):
    main([str(folder / checkpoint), str(folder / words), str(folder / "out.safetensors")])
    return fastcv.load_model(folder / "out.safetensors")


def test_weights_and_vocabulary(files, capsys):
    folder, encoder, decoder = files
    model = run(folder).eval()
    assert capsys.readouterr().out.strip() == str(folder / "out.safetensors")
    assert model.model_name == "show_attend_and_tell"
    assert model.vocabulary.words[4:] == ("cat", "a", "mat")
    for word, row in WORD_MAP.items():  # each word has the row that it had
        ours = model.vocabulary.id_of(word)
        assert torch.equal(model.decoder.embedding.weight[ours], decoder.embedding.weight[row])
        assert torch.equal(model.decoder.fc.weight[ours], decoder.fc.weight[row])
        assert model.decoder.fc.bias[ours] == decoder.fc.bias[row]
    for key, value in decoder.state_dict().items():
        if not key.startswith(("embedding", "fc")):
            assert torch.equal(model.decoder.state_dict()[key], value), key
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(model.encoder(images)[-1], encoder.eval().resnet(images))
    (caption,) = model.predict(torch.rand(3, 40, 50), max_words=3)
    assert caption.attention.shape[1:] == (14, 14)


BROKEN = {
    "list.json": ([1, 2], "must map words to 0, 1, 2"),
    "twice.json": ({**WORD_MAP, "dog": 6}, "must map words to 0, 1, 2, ..., each number once"),
    "text.json": ({**WORD_MAP, "cat": "one"}, "must map words to 0, 1, 2"),
    "no_end.json": (
        {"<pad>": 0, "a": 1, "<unk>": 2, "<start>": 3},
        "must have <pad>, <start>, <end>, <unk>, it lacks <end>",
    ),
    "more.json": ({**WORD_MAP, "dog": 7}, "the word map has 8 words, and the checkpoint 7"),
}


@pytest.mark.parametrize("name", [*BROKEN, "none.json", "no_json.json"])
def test_a_word_map_that_does_not_fit(files, name, capsys):
    folder = files[0]
    if name in BROKEN:
        (folder / name).write_text(json.dumps(BROKEN[name][0]))
    if name == "no_json.json":
        (folder / name).write_text("<pad> 0")
    with pytest.raises(SystemExit):
        run(folder, words=name)
    expected = BROKEN.get(name, (None, "there is no file" if "none" in name else "is no JSON"))[1]
    told = capsys.readouterr().err.splitlines()[-1]
    assert expected in told


class Harm:
    """What a file could do to its reader."""

    def __reduce__(self):
        return os.mkdir, ("harm",)


def test_other_checkpoints(files, capsys, monkeypatch, tmp_path):
    folder = files[0]
    monkeypatch.chdir(tmp_path)
    torch.save({"encoder": Harm(), "decoder": Harm()}, folder / "harm.pth")
    torch.save({"encoder": nn.Linear(2, 3), "decoder": nn.Linear(2, 3)}, folder / "other.pth")
    for name, sentence in (
        ("none.pth", "there is no file"),
        ("harm.pth", "holds no pickled module named encoder"),
        ("other.pth", "is not of sgrvinod's captioner: it has no encoder.resnet.0.weight"),
    ):
        with pytest.raises(SystemExit):
            run(folder, checkpoint=name)
        assert sentence in capsys.readouterr().err
    assert not os.path.exists("harm")
    with pytest.raises(SystemExit):
        main([str(folder / "best.pth.tar"), str(folder / "words.json"), "out.pth"])
    assert "out must end in .safetensors, got 'out.pth'" in capsys.readouterr().err


def test_without_conversion_a_sentence_says_what_to_do(files):
    with pytest.raises(ValueError, match="holds more than tensors: a whole pickled mod") as error:
        fastcv.create_model("show_attend_and_tell", str(files[0] / "best.pth.tar"), width=2)
    command = str(error.value).split("`")[1].split()
    assert command[:3] == ["python", "-m", "fastcv.models.language.unpickle_captioner"]
    assert len(command) == 6  # as `main` takes them

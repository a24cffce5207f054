"""Weights: downloads that resume and are checked, files of every kind, sentences for what fails."""

import functools
import hashlib
import http.server
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from fastcv.models import (
    ImageModel,
    Weights,
    _registry,
    create_model,
    load_model,
    register,
    save_model,
)
from fastcv.models._download import cache_path, download
from fastcv.models._weights import fetch, read_state_dict

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT; ``ranges`` and ``break_after`` choose how well."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges = True
        self.break_after = None
        self.asked = []
        self.url = f"http://127.0.0.1:{self.server_port}/net.pth"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range") if self.server.ranges else None
        self.server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if "missing" in self.path:
            return self.send_error(404)
        if start >= len(CONTENT):
            return self.send_error(416)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.server.break_after])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTCV_HOME", str(tmp_path / "home"))
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def left_over(path):
    return sorted(p.name for p in path.parent.iterdir() if not p.name.startswith("."))


def test_download_once(server):
    path = download(server.url, SHA256[:8])
    assert path == download(server.url, SHA256[:8])
    assert path.read_bytes() == CONTENT and path.name == f"net-{SHA256[:8]}.pth"
    assert server.asked == [None] and left_over(path) == [path.name]


def test_many_at_once(server):
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: download(server.url, SHA256), range(4)))
    assert len(paths) == 1 and paths.pop().read_bytes() == CONTENT
    assert server.asked == [None]


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_goes_on(server, ranges):
    server.break_after = 5000
    with pytest.raises(ConnectionError, match=r"broke off \(5000 of 10240 bytes came\): run it"):
        download(server.url, SHA256)
    assert left_over(cache_path(server.url, SHA256)) == [f"net-{SHA256[:8]}.pth.part"]
    server.break_after, server.ranges = None, ranges
    assert download(server.url, SHA256).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=5000-" if ranges else None]


def test_a_part_that_is_too_long(server):
    target = cache_path(server.url, SHA256)
    target.parent.mkdir(parents=True)
    target.with_name(target.name + ".part").write_bytes(b"x" * 20000)
    assert download(server.url, SHA256).read_bytes() == CONTENT


def test_a_wrong_hash(server):
    with pytest.raises(ValueError, match=f"its sha256 is {SHA256[:8]}, not 00000000; what came"):
        download(server.url, "00000000")
    assert left_over(cache_path(server.url, "00000000")) == []


def test_the_hash_in_a_name(server):
    with pytest.raises(ValueError, match="not 12345678"):
        download(server.url.replace("net", "net-12345678"))
    path = download(server.url.replace("net", f"net-{SHA256[:8]}"))
    assert path.read_bytes() == CONTENT


def test_a_url_without_a_hash(server):
    path, other = download(server.url), download(server.url + "?other")
    assert path.read_bytes() == CONTENT and path != other


def test_not_on_the_server(server):
    with pytest.raises(ConnectionError, match=r"answered 404 .*: download it elsewhere and pass"):
        download(server.url.replace("net", "missing"))


def test_offline(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTCV_HOME", str(tmp_path))
    url = "http://127.0.0.1:1/net-1a2b3c4d.pth"
    with pytest.raises(ConnectionError) as error:
        download(url)
    sentence = f"pass weights=PATH, or put it at {tmp_path}/weights/net-1a2b3c4d.pth"
    assert str(error.value).startswith(f"could not reach {url} (")
    assert str(error.value).endswith(sentence)
    (tmp_path / "weights" / "net-1a2b3c4d.pth").write_bytes(b"by hand")
    assert download(url).read_bytes() == b"by hand"


# Files, and models that they fit or do not.


class Pair(ImageModel):
    def __init__(self, *, size: int = 3):
        super().__init__()
        self.first = torch.nn.Linear(size, 2)
        self.norm = torch.nn.BatchNorm1d(2)
        self.second = torch.nn.Linear(2, 2)
        self.second.weight = self.first.weight if size == 2 else self.second.weight


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr(_registry, "_entries", dict(_registry._entries))

    @register("pair", task="testing")
    def pair(*, size: int = 3) -> Pair:
        return Pair(size=size)

    return create_model("pair")


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return list(a) == list(b) and all(torch.equal(a[key], b[key]) for key in a)


def wrapped(state):
    yield state
    yield {"model": state}
    yield {"state_dict": state, "epoch": 3}
    yield {"model_state_dict": state, "optim_state_dict": {"state": {}}}
    yield {**state, "mask_values": [0, 1]}
    yield {"module." + key: value for key, value in state.items()}
    yield {"model": {"module." + key: value for key, value in state.items()}}


@pytest.mark.parametrize("kind", range(7))
def test_pth(model, tmp_path, kind):
    torch.save(list(wrapped(model.state_dict()))[kind], tmp_path / "a.pth")
    assert same(create_model("pair", weights=str(tmp_path / "a.pth")), model)


def test_published(model, server, monkeypatch, tmp_path):
    torch.save(model.state_dict(), tmp_path / "pair.pth")
    content = (tmp_path / "pair.pth").read_bytes()
    monkeypatch.setattr(f"{__name__}.CONTENT", content)
    published = Weights(
        "A", server.url, hashlib.sha256(content).hexdigest(), ("x", "y"), {"mean": 0.5}
    )

    @register("pair", task="testing", weights=[published])
    def pair(*, size: int = 3) -> Pair:
        return Pair(size=size)

    path = tmp_path / server.url.rpartition("/")[2]
    path.write_bytes(content)
    for weights in ("A", "default", server.url, str(path)):
        loaded = create_model("pair", weights=weights)
        assert same(loaded, model)
        assert loaded.classes == ("x", "y") and loaded.preprocessing == {"mean": 0.5}
    assert create_model("pair", weights=str(tmp_path / "pair.pth")).classes == ()
    assert Pair.preprocessing == {}


class Code:
    def __reduce__(self):
        return print, ("this must not run",)


def test_a_pickle_with_code(model, tmp_path, capsys):
    torch.save({"model": Code()}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="holds more than tensors, or is no checkpoint: only what"):
        create_model("pair", weights=str(tmp_path / "a.pth"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 half a zip"])
def test_no_checkpoint(model, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} (is no|holds more)"):
        create_model("pair", weights=str(tmp_path / name))


@pytest.mark.parametrize("value", [torch.zeros(2), {"a": 1}, [torch.zeros(2)]])
def test_no_state_dict(tmp_path, value):
    torch.save(value, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.pth is no state dict: it must map names to tensors"):
        read_state_dict(tmp_path / "a.pth")


def test_what_does_not_fit(model, tmp_path):
    state = create_model("pair", size=5).state_dict()
    for key in ("norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"):
        state["old." + key] = state.pop(key)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ValueError) as error:
        create_model("pair", weights=str(tmp_path / "a.pth"))
    assert str(error.value) == (
        f"{tmp_path}/a.pth does not fit pair: "
        "missing: norm.weight, norm.bias, norm.running_mean and 1 more; "
        "unexpected: old.norm.weight, old.norm.bias, old.norm.running_mean and 1 more; "
        "wrong shape: first.weight is [2, 5], must be [2, 3]"
    )


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("size", [2, 3])  # 2: two layers share a weight
def test_save_and_load(model, tmp_path, half, size):
    model = create_model("pair", size=size)
    model.classes, model.preprocessing = ("a", "b"), {"resize": 7}
    save_model(tmp_path / "new" / "a.safetensors", model, half=half)
    loaded = load_model(tmp_path / "new" / "a.safetensors")
    assert loaded.model_name == "pair" and loaded.model_config == {"size": size}
    assert loaded.classes == ("a", "b") and loaded.preprocessing == {"resize": 7}
    for key, value in model.state_dict().items():
        exact = not half or value.ndim < 2
        expected = value if exact else value.half().to(value.dtype)
        assert torch.equal(loaded.state_dict()[key], expected)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.safetensors"]
    (tmp_path / "plain").touch()  # others may read it as they may any file
    assert (tmp_path / "new" / "a.safetensors").stat().st_mode == (
        tmp_path / "plain"
    ).stat().st_mode


def test_half_is_half(model, tmp_path):
    save_model(tmp_path / "a.safetensors", model, half=True)
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        kinds = {key: file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
        assert json.loads(file.metadata()["model"]) == "pair"
    assert kinds["first.weight"] == torch.float16
    assert kinds["norm.running_var"] == kinds["first.bias"] == torch.float32


def test_a_safetensors_of_another_program(model, tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(model.state_dict(), path, {"format": "pt"})
    assert same(create_model("pair", weights=str(path)), model)
    with pytest.raises(ValueError, match=r"does not say which model .* create_model\(name, weigh"):
        load_model(path)


def test_save_refuses(model, tmp_path):
    with pytest.raises(ValueError, match=r"must end in .safetensors, got 'a.pth'"):
        save_model(tmp_path / "a.pth", model)
    with pytest.raises(ValueError, match="model must come from create_model"):
        save_model(tmp_path / "a.safetensors", Pair())
    model.model_config = {"norm": torch.nn.BatchNorm2d}
    with pytest.raises(ValueError, match="must fit in JSON: Object of type type is not"):
        save_model(tmp_path / "a.safetensors", model)
    assert list(tmp_path.iterdir()) == []


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_model(tmp_path / "a.safetensors")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        functools.partial(fetch, model="pair")(str(tmp_path / "a.pth"), [])


# A checkpoint of what holds the model, and something beside it.


def small_resnet(**config):
    torch.manual_seed(1)
    return create_model("resnet18", **{"num_classes": 3, "width": 4, **config})


@pytest.mark.parametrize(
    "beside",
    [
        {"n_averaged": torch.tensor(3)},  # of torch.optim.swa_utils.AveragedModel
        {"criterion.weight": torch.ones(3)},
        {"val_acc.total": torch.tensor(1.0), "val_acc.correct": torch.tensor(1.0)},
        {"conv1.weight": torch.zeros(4, 3, 7, 7)},  # a name that the model has, too
        {"fc.weight": torch.zeros(3, 32), "fc.bias": torch.zeros(3)},
    ],
)
@pytest.mark.parametrize("prefix", ["module.", "model.", "a.net."])
def test_what_lies_beside_the_model_is_left_out(beside, prefix, tmp_path):
    trained = small_resnet()
    state = {prefix + key: value for key, value in trained.state_dict().items()}
    outer = prefix.rpartition(".")[0].rpartition(".")[0]
    beside = {f"{outer}.{key}" if outer else key: value for key, value in beside.items()}
    for first, second in ((state, beside), (beside, state)):
        torch.save({"state_dict": {**first, **second}}, tmp_path / "a.ckpt")
        path = str(tmp_path / "a.ckpt")
        model = create_model("resnet18", weights=path, num_classes=3, width=4)
        for key, value in model.state_dict().items():
            assert torch.equal(value, trained.state_dict()[key]), key
        with pytest.warns(UserWarning, match="is of other classes: .*: fc.weight, fc.bias$"):
            other = create_model("resnet18", weights=path, num_classes=5, width=4)
        assert torch.equal(other.layer4[1].conv2.weight, trained.layer4[1].conv2.weight)


def test_two_models_in_a_file_are_refused(tmp_path):
    state = small_resnet().state_dict()
    both = {f"{who}.{key}": value for who in ("student", "teacher") for key, value in state.items()}
    torch.save(both, tmp_path / "a.ckpt")
    with pytest.raises(
        ValueError, match=r"does not fit resnet18: missing: .*unexpected: student\."
    ):
        create_model("resnet18", weights=str(tmp_path / "a.ckpt"), num_classes=3, width=4)


@pytest.mark.parametrize("state", [{1: torch.zeros(2)}, {"a": torch.zeros(2), 1: torch.zeros(2)}])
def test_keys_that_are_no_names(state, tmp_path):
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="is no state dict: it must map names to tensors"):
        create_model("resnet18", weights=str(tmp_path / "a.pth"), num_classes=3, width=4)


def test_a_sparse_tensor_is_told_in_one_sentence(tmp_path):
    state = small_resnet().state_dict()
    state["fc.bias"] = state["fc.bias"].to_sparse()
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"does not fit resnet18: .*fc\.bias") as error:
        create_model("resnet18", weights=str(tmp_path / "a.pth"), num_classes=3, width=4)
    assert "\n" not in str(error.value)

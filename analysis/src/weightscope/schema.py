"""What stands in an experiment file: one row per dataset. Dimensions carry the names of their coordinates."""

from __future__ import annotations

from typing import Final

SCHEMA_VERSION: Final = 1
CONVENTIONS: Final = "weightscope-1"

COMPONENTS: Final = ("c_attn", "q", "k", "v", "attn_proj", "mlp_fc", "mlp_proj")
COMPONENT_NAMES: Final = {
    "c_attn": "Fused Q, K, V",
    "q": "Query",
    "k": "Key",
    "v": "Value",
    "attn_proj": "Attention output",
    "mlp_fc": "MLP in",
    "mlp_proj": "MLP out",
}
COMPONENT_PARAMETER: Final = {
    "c_attn": "attn.c_attn.weight",
    "q": "attn.c_attn.weight",
    "k": "attn.c_attn.weight",
    "v": "attn.c_attn.weight",
    "attn_proj": "attn.c_proj.weight",
    "mlp_fc": "mlp.c_fc.weight",
    "mlp_proj": "mlp.c_proj.weight",
}

# What changed ‖W‖² in an update: norm_budget_NAME.
BUDGET_TERMS: Final = ("change", "decay", "gradient", "second_order", "residual")

SHOWN: Final = ("q", "k", "v", "c_attn", "attn_proj", "mlp_fc", "mlp_proj")  # parts before the whole

SNAPSHOT: Final = "snapshot_step"
_RESIDUAL: Final = "residual_layer"  # one more than layers: before each block, and after the last
_PER_COMPONENT = (SNAPSHOT, "layer", "component")
_PER_HEAD = (SNAPSHOT, "layer", "qkv", "head")
_PER_PARAMETER = (SNAPSHOT, "parameter")

ROOT: Final[dict[str, tuple[str, ...]]] = {
    **{name: (name,) for name in (SNAPSHOT, "layer", "component", "head", "parameter", "bin", "bin_edge", "qkv")},
    _RESIDUAL: (_RESIDUAL,),
    **dict.fromkeys(("epoch", "tokens", "wall_time"), (SNAPSHOT,)),
    **dict.fromkeys(
        (
            *("std", "mean", "skewness", "kurtosis", "min", "max", "rms"),
            *("count", "zeros", "nonfinite", "overflow", "displacement", "cosine"),
        ),
        _PER_COMPONENT,
    ),
    "histogram": (*_PER_COMPONENT, "bin"),
    **{f"head_{name}": _PER_HEAD for name in ("std", "mean", "kurtosis", "min", "max")},
    "head_histogram": (*_PER_HEAD, "bin"),
    **{f"parameter_{name}": _PER_PARAMETER for name in ("std", "mean", "rms", "max", "displacement", "cosine")},
    "update_ratio": _PER_PARAMETER,
    "parameter_count": ("parameter",),
    **dict.fromkeys(("gradient_std", "gradient_norm", "gradient_exponent"), _PER_COMPONENT),
    "gradient_histogram": (*_PER_COMPONENT, "bin"),
    **dict.fromkeys(("parameter_gradient_norm", "parameter_gradient_rms"), _PER_PARAMETER),
    **{f"norm_budget_{term}": _PER_COMPONENT for term in BUDGET_TERMS},
    **{f"parameter_norm_budget_{term}": _PER_PARAMETER for term in BUDGET_TERMS},
}

# The dimension that grows in each group, and the dimensions of datasets with more than one.
GROUP_KEY: Final = {
    "train": "step",
    "eval": "step",
    "init": "row",
    "alarms": "row",
    "segments": "row",
    "spectra": "step",
    "probe": "step",
}
GROUP_TRAILING: Final = {"spectra": ("layer", "component"), "probe": ("layer", "head")}
_OTHER_TRAILING: Final = {
    ("probe", "residual_rms"): (_RESIDUAL,),
    ("spectra", "qk_spectral_norm"): ("layer", "head"),
}


def dimensions(group: str, name: str, rank: int) -> tuple[str, ...] | None:
    """Names of the dimensions of a known dataset, None for one this version does not know."""
    if group == "":
        return ROOT.get(name)
    if rank == 1:
        return (GROUP_KEY[group],)
    if (group, name) in _OTHER_TRAILING:
        return (GROUP_KEY[group], *_OTHER_TRAILING[group, name])
    dims = (GROUP_KEY[group], *GROUP_TRAILING.get(group, ()))
    return dims if len(dims) == rank else None

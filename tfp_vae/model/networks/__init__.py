"""Networks: functions from tensors [B, *input_shape] to tensors [B, output_size], which know nothing of distributions.

`base` defines the interface. `mlp`, `conv` and `resnet` hold the networks of those names, built from `tf_keras` layers
in `layers`. `dropout` turns dropout on, `context` passes a context to networks, `joined` changes their input, and
`adapters` checks your own networks. To add a network, write a function and add it to `NETWORKS`. Its keyword-only
parameters are settings. Any callable whose variables `tf.Module` can see works as a network too.
"""

from __future__ import annotations

import inspect

from tfp_vae.core.exports import lazy_exports
from tfp_vae.core.registry import Table, check_keywords
from tfp_vae.model.networks.adapters import Fixed
from tfp_vae.model.networks.base import Activation, Network, apply_to_last_axis
from tfp_vae.model.networks.conv import conv
from tfp_vae.model.networks.dropout import dropping
from tfp_vae.model.networks.mlp import mlp
from tfp_vae.model.networks.resnet import resnet

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.model.networks.joined import LowestLayer, WithContext

__all__ = [
    "NETWORKS",
    "Activation",
    "Fixed",
    "LowestLayer",
    "Network",
    "WithContext",
    "apply_to_last_axis",
    "conv",
    "dropping",
    "mlp",
    "needs_images",
    "resnet",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, _ = lazy_exports(
        __name__, ["LowestLayer", "WithContext"], {"LowestLayer": "joined", "WithContext": "joined"}
    )

NETWORKS: Table[Network] = Table(
    "network", {"mlp": mlp, "conv": conv, "resnet": resnet}, base=Network, takes=("input_shape", "output_size")
)
"""Constructors of networks by name. One with a parameter `image_shape` works for images [H, W, C] only."""


@check_keywords
def needs_images(name: str) -> bool:
    """Return whether a network of `NETWORKS` works for images only, because it has a parameter `image_shape`.

    ```python
    tv.networks.needs_images("conv"), tv.networks.needs_images("mlp")  # True, False
    ```
    """
    return "image_shape" in inspect.signature(NETWORKS[name]).parameters

"""Checkpoints of the trained methods; CAISeg's own are :mod:`caiseg.checkpoint`'s."""

from __future__ import annotations

from pathlib import Path

import torch

from caiseg.checkpoint import (
    CheckpointInfo,
    file_hash,
    read_description,
    read_weights,
    write_weights,
)
from caiseg.errors import InvalidInput
from caiseg.predictor import CAISegPredictor, choose_device
from train.methods.base import LoadedMethod, require_checkpoint
from train.methods.click_network import ClickNetwork
from train.methods.predictor import ClickNetworkPredictor
from train.methods.trainable import NETWORKS, Network, build_network


def load_caiseg(checkpoint: Path | None, device: str) -> LoadedMethod:
    """CAISeg from its checkpoint.

    Raises:
        InvalidInput: There is no usable checkpoint, or it is of another method.
    """
    path = require_checkpoint("caiseg", checkpoint)
    info = read_description(path)
    _check_method("caiseg", path, info)
    predictor = CAISegPredictor.from_checkpoint(path, device)
    return LoadedMethod(
        "caiseg", predictor, predictor.checkpoint_hash, predictor.device,
        info.name, predictor.preprocessing.modality, info.licence, info.provenance,
    )  # fmt: skip


def load_click_network(name: str, checkpoint: Path | None, device: str) -> LoadedMethod:
    """A trained baseline from its checkpoint.

    Raises:
        InvalidInput: There is no usable checkpoint, or it is of another method.
    """
    path = require_checkpoint(name, checkpoint)
    chosen = choose_device(device)
    network, info = load_network(path)
    _check_method(name, path, info)
    assert isinstance(network, ClickNetwork)
    predictor = ClickNetworkPredictor(network, info.preprocessing, chosen, info.guided_filter)
    return LoadedMethod(
        name, predictor, file_hash(path), chosen, info.name, info.preprocessing.modality,
        info.licence, info.provenance,
    )  # fmt: skip


def load_network(path: Path) -> tuple[Network, CheckpointInfo]:
    """The network of any trained method, in evaluation mode on the CPU.

    Raises:
        InvalidInput: The file is no usable checkpoint.
    """
    info = read_description(path)
    if info.method not in NETWORKS:
        raise InvalidInput(
            f"{path.name} holds the weights of '{info.method}', which this version does not know."
        )
    with torch.device("meta"):
        network = build_network(info.method, info.network)
    network.load_state_dict(read_weights(path, network.state_dict()), assign=True)
    network.requires_grad_(False)
    return network.eval(), info


def save_network(path: Path, network: Network, info: CheckpointInfo) -> None:
    """Write the weights of any trained method; ``info.method`` says whose they are."""
    if info.network != network.config or NETWORKS[info.method] is not type(network):
        raise ValueError("info does not describe the network")
    write_weights(path, network.state_dict(), info)


def _check_method(name: str, path: Path, info: CheckpointInfo) -> None:
    if info.method != name:
        raise InvalidInput(
            f"{path.name} holds the weights of {info.method}, not of {name}; evaluate it with "
            f"--method {info.method}, or name a checkpoint of {name}."
        )

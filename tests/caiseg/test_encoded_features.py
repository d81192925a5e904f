"""Patches of a scan become one feature map; a click changes it near itself, whatever the size."""

from __future__ import annotations

import random
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from caiseg import patches
from caiseg.answer_bound import NEGLIGIBLE
from caiseg.encoded_features import EncodedFeatures
from caiseg.feature_clustering import ClickCells
from caiseg.network import CAISeg, ScanFeatures
from caiseg.network_config import THICK_SLICES, NetworkConfig
from caiseg.patch_encoding import PatchEncoder
from caiseg.patches import tile_boxes

SPACING = torch.tensor([1.5, 1.5, 4.0])
FORE = 1
ROUNDING = 1e-5
"""Less than that may differ where the last stage runs on other parts of a scan at once, or is
computed by other kernels."""


@pytest.fixture(scope="module")
def network() -> CAISeg:
    torch.manual_seed(0)
    config = NetworkConfig(
        base_channels=2, kernel_size=3, strides=THICK_SLICES, attention_heads=(4, 4, 2, 2),
        affinity_heads=2, position="mm", alpha=(4.0,), query_scale=0.3,
    )  # fmt: skip
    network = CAISeg(config).eval()
    torch.nn.init.normal_(network.interaction.clustering.mask_fusion.weight, std=0.3)
    return network.requires_grad_(False)


def scan(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def clicks(*voxels: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    return torch.tensor(voxels), torch.full((len(voxels),), FORE)


@pytest.mark.parametrize("shape", [(32, 32, 16), (27, 30, 13), (5, 3, 1)])
def test_a_scan_that_fits_is_one_patch_and_gets_the_network_s_own_logits(
    network: CAISeg, shape: tuple[int, int, int]
) -> None:
    image = scan(*shape)
    features = EncodedFeatures(network, image, SPACING, (32, 32, 16))
    assert features.boxes == [(slice(0, 32), slice(0, 32), slice(0, 16))]
    padded = torch.full((32, 32, 16), float(image.min()))
    i, j, k = shape
    padded[:i, :j, :k] = image
    expected = network.backbone(padded[None, None])[0, 0, :i, :j, :k]
    torch.testing.assert_close(features.base_logits, expected, rtol=1e-5, atol=ROUNDING)


@pytest.mark.parametrize("dense", [False, True])
def test_an_answer_in_one_patch_is_the_network_s_own(network: CAISeg, dense: bool) -> None:
    image, mask = scan(32, 32, 16), (scan(32, 32, 16) > 0).float()
    features = EncodedFeatures(network, image, SPACING, (32, 32, 16), dense=dense)
    voxels, labels = clicks((10, 11, 12), (20, 3, 5))
    answer = features.answer(voxels, labels, mask)
    direct = network.answer(
        network.encode(image[None, None]),
        [ClickCells.from_voxels(voxels, labels, (2, 2, 1))],
        mask[None, None],
        SPACING[None],
    )
    tolerated = ROUNDING if dense else NEGLIGIBLE
    torch.testing.assert_close(
        features.all_logits(answer), direct.logits[0, 0], rtol=1e-5, atol=tolerated
    )
    assert torch.equal(features.logits(answer) > 0, direct.logits[0, 0] > 0)
    coarse = direct.affinity[0].value[None]
    fine = torch.nn.functional.interpolate(coarse, size=(32, 32, 16), mode="trilinear")[0]
    torch.testing.assert_close(features.affinity(answer), fine)


def test_features_of_several_patches_are_blended_to_one_map(network: CAISeg) -> None:
    image = scan(56, 32, 16)
    features = EncodedFeatures(network, image, SPACING, (32, 32, 16))
    assert [box[0] for box in features.boxes] == [slice(0, 32), slice(24, 56)]
    first, second = (network.encode(image[box][None, None]) for box in features.boxes)
    whole = features.scan.features
    torch.testing.assert_close(whole[:, :, :12], first.features[:, :, :12])
    torch.testing.assert_close(whole[:, :, 16:], second.features[:, :, 4:])
    shared = torch.stack((first.features[:, :, 12:], second.features[:, :, :4]))
    assert bool((whole[:, :, 12:16] >= shared.amin(0) - 1e-5).all())
    assert bool((whole[:, :, 12:16] <= shared.amax(0) + 1e-5).all())
    skip = patches.blend([first.skip, second.skip], features.boxes, features.shape)
    stage = network.backbone.last_stage(whole, skip)[0, 0]
    torch.testing.assert_close(features.base_logits, stage, rtol=1e-4, atol=1e-5)


def test_patches_are_let_go_before_their_skip_features_are_followed(
    network: CAISeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[ScanFeatures]] = []
    held: list[int] = []
    encode, follow = PatchEncoder._encode, PatchEncoder._shares

    def encoded(self: PatchEncoder, patch: Tensor, storage: torch.dtype) -> ScanFeatures:
        features = encode(self, patch, storage)
        made.append(weakref.ref(features))
        return features

    def followed(self: PatchEncoder, skip: Tensor) -> Tensor:
        held.append(sum(patch() is not None for patch in made))
        return follow(self, skip)

    monkeypatch.setattr(PatchEncoder, "_encode", encoded)
    monkeypatch.setattr(PatchEncoder, "_shares", followed)
    EncodedFeatures(network, scan(70, 32, 16), SPACING, (32, 32, 16))
    assert len(made) == 3
    assert held == [0]


def test_a_click_is_drawn_to_the_head_features_of_the_patches_that_it_lies_in(
    network: CAISeg,
) -> None:
    features = EncodedFeatures(network, scan(56, 32, 16), SPACING, (32, 32, 16))
    heads = features.scan.head_features[:, FORE]
    for place, expected in ((4, heads[0]), (52, heads[1]), (28, heads.mean(0))):
        answer = features.answer(*clicks((place, 8, 8)), torch.zeros(features.shape))
        at = features.scan.features[0, :, place // 2, 4, 8]
        torch.testing.assert_close(answer.adjustment.targets[0], expected - at, atol=0.03, rtol=0.1)


@pytest.mark.parametrize("dense", [False, True])
def test_a_click_acts_within_a_patch_s_size_of_itself(network: CAISeg, dense: bool) -> None:
    features = EncodedFeatures(network, scan(102, 32, 16), SPACING, (32, 32, 16), dense=dense)
    margin = network.backbone.last_stage.margin
    for place, first, last in ((0, 0, 32), (50, 34, 66), (101, 70, 102)):
        answer = features.answer(*clicks((place, 5, 5)), torch.zeros(features.shape))
        moved = (features.logits(answer) - features.base_logits).abs() > ROUNDING
        changed = moved.flatten(1).any(dim=1).nonzero()
        assert first - margin <= int(changed.min()) <= place
        assert place <= int(changed.max()) < last + margin
        affinity = features.affinity(answer)[FORE].flatten(1).any(dim=1)
        assert not affinity[: max(first - 2, 0)].any()
        assert not affinity[last + 2 :].any()
        boxes = torch.zeros(features.shape, dtype=torch.bool)
        for box in answer.changed:
            boxes[box] = True
        assert torch.equal(features.logits(answer)[~boxes], features.base_logits[~boxes])


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("shape", [(32, 32, 16), (102, 32, 16)], ids=["one patch", "several"])
def test_a_click_acts_no_farther_than_it_may(
    network: CAISeg, dense: bool, shape: tuple[int, int, int]
) -> None:
    """9 mm are 3 cells of 3 mm in the slice and 2 of 4 mm across."""
    near = EncodedFeatures(network, scan(*shape), SPACING, (32, 32, 16), dense=dense, reach_mm=9)
    answer = near.answer(*clicks((20, 16, 8)), torch.zeros(shape))

    # Interpolation reads the voxels beside those that changed.
    for changed in answer.changed:
        for axis, filled, size in zip(changed, answer.part, shape, strict=True):
            assert filled.start <= max(axis.start - 1, 0)
            assert min(axis.stop + 1, size) <= filled.stop
    (box,) = answer.reach
    assert box == (slice(7, 14), slice(5, 12), slice(6, 11))
    affinity = answer.affinity.value[FORE].clone()
    assert affinity[box].min() > 0
    affinity[box] = 0
    assert not affinity.any()
    i, j, k = box
    margin = network.backbone.last_stage.margin
    moved = ((near.logits(answer) - near.base_logits).abs() > ROUNDING).clone()
    assert moved.any()
    moved[
        2 * i.start - margin : 2 * i.stop + margin,
        2 * j.start - margin : 2 * j.stop + margin,
        k.start - margin : k.stop + margin,
    ] = False
    assert not moved.any()


def test_a_mask_far_from_all_clicks_does_not_matter(network: CAISeg) -> None:
    image, mask = scan(40, 32, 16), (scan(40, 32, 16) > 1).float()
    features = EncodedFeatures(network, image, SPACING, (48, 32, 16), reach_mm=9)
    at, labels = clicks((20, 16, 8), (12, 20, 6))
    beside = torch.zeros_like(mask)
    beside[features.near(at)] = mask[features.near(at)]

    assert 0 < beside.sum() < mask.sum()
    whole, part = features.answer(at, labels, mask), features.answer(at, labels, beside)
    assert torch.equal(features.logits(whole), features.logits(part))
    other = features.answer(at, labels, torch.zeros_like(mask))
    assert not torch.equal(whole.affinity.value, other.affinity.value)


def test_a_reach_beyond_the_patch_changes_nothing(network: CAISeg) -> None:
    far, half_a_patch = (
        EncodedFeatures(network, scan(102, 32, 16), SPACING, (32, 32, 16), reach_mm=reach)
        for reach in (500, None)
    )
    at, labels = clicks((50, 5, 5))
    nothing = torch.zeros(far.shape)
    assert far.answer(at, labels, nothing).reach == half_a_patch.answer(at, labels, nothing).reach


def test_a_click_gives_the_same_near_it_however_long_the_scan_goes_on(network: CAISeg) -> None:
    image, mask = scan(134, 32, 16), (scan(134, 32, 16) > 1).float()
    long = EncodedFeatures(network, image, SPACING, (32, 32, 16))
    far_apart = [(20, 9, 3), (112, 20, 9)]
    labels = torch.tensor([1, 0])
    both = long.answer(torch.tensor(far_apart), labels, mask)
    for click, (voxel, part) in enumerate(
        zip(far_apart, (slice(0, 67), slice(67, 134)), strict=True)
    ):
        alone = long.answer(torch.tensor([voxel]), labels[click : click + 1], mask)
        first, second = (long.all_logits(answer)[part] for answer in (both, alone))
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


def test_the_order_of_patches_does_not_matter(
    network: CAISeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, mask = scan(60, 40, 16), torch.zeros(60, 40, 16)
    forward = EncodedFeatures(network, image, SPACING, (32, 32, 16))
    monkeypatch.setattr(patches, "tile_boxes", lambda *sizes: tile_boxes(*sizes)[::-1])
    backward = EncodedFeatures(network, image, SPACING, (32, 32, 16))
    assert forward.boxes == backward.boxes[::-1]
    torch.testing.assert_close(forward.base_logits, backward.base_logits, rtol=1e-5, atol=1e-6)
    click = clicks((30, 20, 8))
    first, second = forward.answer(*click, mask), backward.answer(*click, mask)
    torch.testing.assert_close(
        forward.all_logits(first), backward.all_logits(second), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(first.affinity.value, second.affinity.value, rtol=1e-4, atol=1e-5)


def test_beginning_near_the_view_gives_the_same_features_and_answers(network: CAISeg) -> None:
    image, mask = scan(70, 40, 16), torch.zeros(70, 40, 16)
    shares: list[float] = []
    begun: list[Tensor] = []
    plain = EncodedFeatures(network, image, SPACING, (32, 32, 16))
    stage = network.backbone.input_stage
    handle = stage.register_forward_pre_hook(lambda _, inputs: begun.append(inputs[0]))
    far = EncodedFeatures(
        network, image, SPACING, (32, 32, 16), shares.append,
        first=(69.0, 39.0, 8.0), preview=lambda *_: None,
    )  # fmt: skip
    handle.remove()
    assert shares == sorted(shares)
    assert torch.equal(begun[0][0, 0], image[plain.boxes[-1]])
    click = clicks((30, 20, 8))
    assert torch.equal(far.scan.features, plain.scan.features)
    assert torch.equal(far.base_logits, plain.base_logits)
    assert torch.equal(
        far.logits(far.answer(*click, mask)), plain.logits(plain.answer(*click, mask))
    )


def test_half_precision_halves_the_features_and_keeps_the_mask(network: CAISeg) -> None:
    image, mask = scan(70, 32, 16), torch.zeros(70, 32, 16)
    whole, half = (
        EncodedFeatures(network, image, SPACING, (32, 32, 16), storage=storage)
        for storage in (torch.float32, torch.float16)
    )
    assert half.scan.features.nbytes * 2 == whole.scan.features.nbytes
    assert half.nbytes < whole.nbytes
    click = clicks((30, 20, 8))
    first, second = (
        features.all_logits(features.answer(*click, mask)) for features in (whole, half)
    )
    torch.testing.assert_close(first, second, rtol=0.02, atol=0.02)
    assert not torch.equal(first, whole.base_logits)


@pytest.mark.parametrize("shape", [(70, 32, 16), (90, 75, 33)])
def test_dense_and_blockwise_answers_agree(network: CAISeg, shape: tuple[int, int, int]) -> None:
    image, mask = scan(*shape), (scan(*shape) > 1).float()
    blockwise, dense = (
        EncodedFeatures(network, image, SPACING, (32, 32, 16), dense=mode) for mode in (False, True)
    )
    voxels = torch.tensor([[30, 20, 8], [5, 5, 5], [68, 30, 15]])
    labels = torch.tensor([1, 0, 1])
    answer, reference = (features.answer(voxels, labels, mask) for features in (blockwise, dense))
    mask, expected_mask = blockwise.logits(answer) > 0, dense.logits(reference) > 0
    assert torch.equal(mask, expected_mask)
    assert not torch.equal(mask, blockwise.base_logits > 0)
    probability, expected = (
        torch.sigmoid(features.all_logits(given))
        for features, given in ((blockwise, answer), (dense, reference))
    )
    assert float((probability - expected).abs().max()) <= 0.01
    assert torch.equal(blockwise.all_logits(answer) > 0, expected_mask)


def test_no_history_of_questions_changes_an_answer(network: CAISeg) -> None:
    shape = (102, 32, 16)
    features = EncodedFeatures(network, scan(*shape), SPACING, (32, 32, 16))
    voxels = torch.tensor([(5, 5, 5), (34, 20, 8), (54, 9, 3), (72, 30, 2), (100, 8, 15)])
    labels = torch.tensor([1, 0, 1, 1, 0])
    masks = [torch.zeros(shape), (scan(*shape) > 1).float()]

    def ask(question: tuple[int, int]) -> Tensor:
        count, which = question
        return features.logits(features.answer(voxels[:count], labels[:count], masks[which]))

    questions = [(count, which) for count in range(1, 6) for which in (0, 1)]
    fresh = {question: ask(question) for question in questions}
    random.Random(0).shuffle(questions)
    with ThreadPoolExecutor(4) as people:
        for question, answer in zip(questions * 3, people.map(ask, questions * 3), strict=True):
            assert torch.equal(answer, fresh[question])


def test_affinity_is_1_at_a_click_and_0_where_nothing_was_clicked(network: CAISeg) -> None:
    features = EncodedFeatures(network, scan(70, 32, 16), SPACING, (32, 32, 16))
    answer = features.answer(*clicks((4, 9, 3)), torch.zeros(features.shape))
    affinity = features.affinity(answer)
    assert affinity.shape == (2, 70, 32, 16)
    assert float(affinity.max()) <= 1 + 1e-5
    assert not affinity[0].any(), "nothing was clicked as background"
    near = affinity[FORE, 2:7, 7:12, 3]
    assert float(near.max()) == float(affinity.max())
    assert not features.affinity(None).any()


def test_progress_is_told_after_every_patch(network: CAISeg) -> None:
    told: list[float] = []
    features = EncodedFeatures(network, scan(70, 32, 16), SPACING, (32, 32, 16), told.append)
    assert told == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert len(features.boxes) == 3


def test_nbytes_grows_with_the_scan_not_with_its_overlaps(network: CAISeg) -> None:
    small = EncodedFeatures(network, scan(32, 32, 16), SPACING, (32, 32, 16))
    large = EncodedFeatures(network, scan(96, 32, 16), SPACING, (32, 32, 16))
    assert small.nbytes > small.scan.nbytes
    assert 2.9 * small.nbytes < large.nbytes < 3.1 * small.nbytes


def test_the_patch_is_rounded_up_to_the_network_s_strides(network: CAISeg) -> None:
    features = EncodedFeatures(network, scan(70, 20, 16), SPACING, (30, 17, 9))
    assert features.boxes[0] == (slice(0, 32), slice(0, 32), slice(0, 16))

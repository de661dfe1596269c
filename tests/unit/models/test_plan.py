"""Blocks, stages, areas and depths of each layout."""

from __future__ import annotations

import pytest

from snnlens.errors import InputError
from snnlens.models.plan import IMAGENET, Plan, plan

# facts/sew-resnet.md, section 4
DOWNSAMPLE = {
    18: [2, 4, 6], 34: [3, 7, 13], 50: [0, 3, 7, 13], 101: [0, 3, 7, 30], 152: [0, 3, 11, 47],
}  # fmt: skip
BLOCKS = {18: 8, 34: 16, 50: 16, 101: 33, 152: 50}


@pytest.mark.parametrize("depth", DOWNSAMPLE)
def test_downsample_blocks(depth: int) -> None:
    blocks = plan(depth).blocks
    assert len(blocks) == BLOCKS[depth]
    assert [b.index for b in blocks] == list(range(BLOCKS[depth]))
    assert [b.index for b in blocks if b.kind == "downsample"] == DOWNSAMPLE[depth]


@pytest.mark.parametrize("depth", DOWNSAMPLE)
def test_stride_is_two_where_a_stage_begins(depth: int) -> None:
    strided = [b.index for b in plan(depth).blocks if b.stride == 2]
    assert strided == DOWNSAMPLE[depth][-3:]
    assert {b.stride for b in plan(depth).blocks} == {1, 2}


def test_areas_of_152() -> None:
    areas = plan(152).areas()
    assert {a: (m[0], m[-1], len(m)) for a, m in areas.items()} == {
        0: (0, 0, 1), 1: (1, 3, 3), 2: (4, 11, 8), 3: (12, 47, 36), 4: (48, 50, 3),
    }  # fmt: skip


@pytest.mark.parametrize("depth", DOWNSAMPLE)
def test_areas_by_their_definition(depth: int) -> None:
    """An area ends at the input of a downsample block; S^L = O^(L-1) is input L."""
    blocks, expected, area = plan(depth).blocks, {}, 0
    for block in blocks:
        expected.setdefault(area, []).append(block.index)
        assert block.area == area
        if block.index in DOWNSAMPLE[depth]:
            area += 1
        assert block.area_out == area
    expected.setdefault(area, []).append(len(blocks))
    assert plan(depth).areas() == expected


def test_area_ends_of_152() -> None:
    assert plan(152).area_ends() == {
        "layer1.0.input", "layer2.0.input", "layer3.0.input", "layer4.0.input", "layer4.2.output",
    }  # fmt: skip


def test_stages_and_names() -> None:
    blocks = plan(50).blocks
    assert [b.stage for b in blocks] == [1] * 3 + [2] * 4 + [3] * 6 + [4] * 3
    assert [b.name for b in blocks[:4]] == ["layer1.0", "layer1.1", "layer1.2", "layer2.0"]
    assert (blocks[0].channels_in, blocks[0].channels) == (64, 64)
    assert (blocks[3].channels_in, blocks[3].channels) == (256, 128)


@pytest.mark.parametrize("depth", [8, 20, 32, 44, 50, 56, 110, 152, 1202])
def test_cifar_depths(depth: int) -> None:
    made = plan(depth, "cifar")
    assert len(made.blocks) == 3 * (depth - 2) // 6  # two convolutions a block, stem, last layer
    assert 2 * len(made.blocks) + 2 == depth
    assert [b.channels for b in made.blocks if b.position == 0] == [16, 32, 64]
    assert [b.index for b in made.blocks if b.kind == "downsample"] == [
        (depth - 2) // 6, 2 * (depth - 2) // 6,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("depth", "layout", "message"),
    [
        (20, "imagenet", ("depth must be 18, 34, 50, 101 or 152 in the imagenet layout; got 20;"
         " the cifar layout has it: --layout cifar")),
        (51, "imagenet", "depth must be 18, 34, 50, 101 or 152 in the imagenet layout; got 51"),
        (18, "cifar", ("depth must be 6n + 2 from 8 to 1202 in the cifar layout; got 18;"
         " the imagenet layout has it: --layout imagenet")),
        (2, "cifar", "depth must be 6n + 2 from 8 to 1202 in the cifar layout; got 2"),
        (1208, "cifar", "depth must be 6n + 2 from 8 to 1202 in the cifar layout; got 1208"),
        (0, "imagenet", "depth must be 18, 34, 50, 101 or 152 in the imagenet layout; got 0"),
        (50, "cifer", "layout must be imagenet or cifar; got 'cifer'"),
    ],
)  # fmt: skip
def test_a_depth_that_the_layout_lacks(depth: int, layout: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        plan(depth, layout)
    assert str(error.value) == message


def test_every_imagenet_depth_but_18_34_101_is_in_both() -> None:
    """50 and 152 exist in both layouts, so the layout is always said."""

    def in_cifar(depth: int) -> bool:
        try:
            return isinstance(plan(depth, "cifar"), Plan)
        except InputError:
            return False

    assert [d for d in IMAGENET if in_cifar(d)] == [50, 152]


@pytest.mark.parametrize(
    ("batch", "size", "layout", "expected"),
    [(32, 64, "imagenet", 128), (64, 32, "imagenet", 64), (2, 224, "imagenet", 98),
     (1, 33, "imagenet", 4), (8, 32, "cifar", 512)],
)  # fmt: skip
def test_last_stage_samples(batch: int, size: int, layout: str, expected: int) -> None:
    assert plan(152, layout).last_stage_samples(batch, size) == expected

"""Manifests: what is read, and how a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from caiseg.errors import InvalidInput
from train.manifest import Case, read_manifest, select, split_hash

HEADER = "case,patient,image,mask,split\n"
ROWS = "a,p1,a.nii.gz,a_mask.nii.gz,train\nb,p2,sub/b.nii.gz,sub/b_mask.nii.gz,val\n"


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "cases.csv"
    path.write_bytes(text.encode(encoding))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_manifest(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_paths_are_relative_to_the_manifest(tmp_path: Path) -> None:
    cases = read_manifest(write(tmp_path, HEADER + ROWS))
    assert cases[1] == Case(
        "b", "p2", tmp_path / "sub/b.nii.gz", tmp_path / "sub/b_mask.nii.gz", "val"
    )
    assert [case.name for case in cases] == ["a", "b"]


def test_absolute_paths_and_spaces_around_values_are_understood(tmp_path: Path) -> None:
    row = f"a , p1, {tmp_path}/x.nii ,y.nii, train\n"
    case = read_manifest(write(tmp_path, HEADER + row))[0]
    assert case == Case("a", "p1", tmp_path / "x.nii", tmp_path / "y.nii", "train")


def test_column_order_further_columns_and_quotes_do_not_matter(tmp_path: Path) -> None:
    text = 'split,age,mask,image,patient,case\ntrain,40,m.nii,"i,1.nii",p,"a"\n'
    case = read_manifest(write(tmp_path, text))[0]
    assert (case.name, case.image.name, case.split) == ("a", "i,1.nii", "train")


def test_a_byte_order_mark_as_spreadsheets_write_it_is_ignored(tmp_path: Path) -> None:
    assert len(read_manifest(write(tmp_path, HEADER + ROWS, "utf-8-sig"))) == 2


def test_windows_line_ends_and_blank_lines_are_ignored(tmp_path: Path) -> None:
    text = (HEADER + "\n" + ROWS).replace("\n", "\r\n")
    assert [case.split for case in read_manifest(write(tmp_path, text))] == ["train", "val"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.csv")


@pytest.mark.parametrize("column", ["case", "patient", "image", "mask", "split"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    text = (HEADER + ROWS).replace(column, "other", 1)
    assert f"lacks the column {column}" in refusal(write(tmp_path, text))


def test_an_empty_value_is_named_with_its_line(tmp_path: Path) -> None:
    text = HEADER + ROWS + "c,p3,,c_mask.nii.gz,train\n"
    assert "line 4: the column image is empty" in refusal(write(tmp_path, text))


def test_a_short_row_is_named_with_its_line(tmp_path: Path) -> None:
    text = HEADER + "\n" + ROWS + "c,p3,c.nii.gz\n"
    assert "line 5: the column mask is empty" in refusal(write(tmp_path, text))


def test_a_manifest_without_cases_is_refused(tmp_path: Path) -> None:
    assert "lists no case" in refusal(write(tmp_path, HEADER))
    assert "lacks the column case" in refusal(write(tmp_path, ""))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01", HEADER.encode() + b"a,\x80\n"])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cases.csv"
    path.write_bytes(content)
    assert "not a CSV text file" in refusal(path)


def test_a_case_listed_twice_is_named(tmp_path: Path) -> None:
    text = HEADER + ROWS + "a,p9,c.nii.gz,c_mask.nii.gz,train\n"
    assert "lists the case a twice" in refusal(write(tmp_path, text))


def test_a_patient_in_two_splits_is_named(tmp_path: Path) -> None:
    text = HEADER + ROWS + "c,p1,c.nii.gz,c_mask.nii.gz,val\n"
    assert "patient p1 is in the splits train and val" in refusal(write(tmp_path, text))


def test_a_patient_may_have_several_cases_in_one_split(tmp_path: Path) -> None:
    text = HEADER + ROWS + "c,p1,c.nii.gz,c_mask.nii.gz,train\n"
    assert len(read_manifest(write(tmp_path, text))) == 3


def test_select_keeps_one_split_in_order(tmp_path: Path) -> None:
    cases = read_manifest(write(tmp_path, HEADER + ROWS + "c,p3,c.nii,m.nii,train\n"))
    assert [case.name for case in select(cases, "train")] == ["a", "c"]


def test_select_names_a_split_that_has_no_case(tmp_path: Path) -> None:
    cases = read_manifest(write(tmp_path, HEADER + ROWS))
    with pytest.raises(InvalidInput, match="no case of the split 'test'"):
        select(cases, "test")


def test_split_hash_depends_on_the_split_and_not_on_the_order(tmp_path: Path) -> None:
    cases = read_manifest(write(tmp_path, HEADER + ROWS))
    assert split_hash(cases) == split_hash(cases[::-1])
    other = read_manifest(write(tmp_path, (HEADER + ROWS).replace("val", "test")))
    assert split_hash(cases) != split_hash(other)


def save(
    path: Path, data: np.ndarray[tuple[int, ...], np.dtype[np.int16]], step: float = 2
) -> None:
    nib.save(nib.Nifti1Image(data, np.diag([-step, step, 3.0, 1.0])), path)


def labelled(folder: Path, mask_step: float = 2) -> Case:
    """A scan whose mask holds the values 1 and 2."""
    labels = np.zeros((6, 5, 4), dtype=np.int16)
    labels[1, 1, 1], labels[2, 2, 2] = 1, 2
    save(folder / "image.nii.gz", np.arange(120, dtype=np.int16).reshape(6, 5, 4))
    save(folder / "mask.nii.gz", labels, mask_step)
    return Case("a", "p", folder / "image.nii.gz", folder / "mask.nii.gz", "train")


@pytest.mark.parametrize(
    ("values", "expected"), [(None, {(4, 1, 1), (3, 2, 2)}), ((2,), {(3, 2, 2)}), ((7,), set())]
)
def test_a_mask_is_read_on_the_display_grid_by_its_label_values(
    tmp_path: Path, values: tuple[int, ...] | None, expected: set[tuple[int, int, int]]
) -> None:
    volume, lesion = labelled(tmp_path).load(values)
    assert volume.shape == lesion.shape == (6, 5, 4)
    assert {tuple(place) for place in np.argwhere(lesion)} == expected, "i runs to the right"


def test_a_mask_on_another_grid_is_refused_with_both_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"Case a: the mask .*mask.nii.gz.* another grid"):
        labelled(tmp_path, mask_step=2.5).load()


def test_an_unreadable_scan_is_named_with_its_case(tmp_path: Path) -> None:
    case = labelled(tmp_path)
    case.image.write_bytes(b"no scan")
    with pytest.raises(InvalidInput, match="Case a: "):
        case.load()

"""Boxes as the files of the field: COCO, and MOT with -1 for who it is, as nobody follows anybody here."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from .query import Found


def write_coco(read: Callable[[], Iterable[Found]], path: Path, size: tuple[int, int] | None = None) -> int:
    """Writes boxes as a COCO data set: images, categories by name, and annotations with their scores.

    Args:
        read: gives the results, the same each time it is called: they are not held in memory.
        path: the file.
        size: the pictures' width and height, where the ledger does not know them.

    Returns:
        How many boxes there were.

    Raises:
        InvalidInput: there are no boxes, or the size of a picture is not known.
    """
    categories = {name: number for number, name in enumerate(sorted(_class_names(read())), 1)}
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info": {"description": "boxes from an infilink ledger"},\n"categories": ')
        json.dump([{"id": number, "name": name} for name, number in categories.items()], file)
        file.write(',\n"images": [')
        _write_each(file.write, _images(read(), size))
        file.write('],\n"annotations": [')
        count = _write_each(file.write, _annotations(read(), size, categories))
        file.write("]}\n")
    return count


def write_mot(results: Iterable[Found], path: Path, size: tuple[int, int] | None = None) -> int:
    """Writes boxes as a MOT challenge's detections: frame (from 1), -1, left, top, width, height, score, -1, -1, -1.

    Args:
        results: of one model on one run of one device.
        path: the file.
        size: the pictures' width and height, where the ledger does not know them.

    Returns:
        How many boxes there were.

    Raises:
        InvalidInput: they are of several, there are no boxes, or the size of a picture is not known.
    """
    count, of = 0, None
    with path.open("w", encoding="utf-8") as file:
        for found in _boxes_only(results):
            of = of or (found.device, found.session, found.model)
            if of != (found.device, found.session, found.model):
                raise InvalidInput(
                    f"MOT: a file is one model's boxes on one run of one device: {of} and "
                    f"{(found.device, found.session, found.model)} were found; give --device, --session and --model"
                )
            for left, top, width, height, score, _ in _pixels(found, size):
                file.write(
                    f"{found.sequence + 1},-1,{left:.2f},{top:.2f},{width:.2f},{height:.2f},{score:.4f},-1,-1,-1\n"
                )
                count += 1
    if of is None:
        raise InvalidInput(_NONE)
    return count


_NONE = "there are no boxes among these results: COCO and MOT take those of models whose output's kind is boxes"


_NO_PICTURES = ("audio", "signal", "text")


def _boxes_only(results: Iterable[Found]) -> Iterator[Found]:
    for found in results:
        if found.output.kind == "boxes":
            if found.spec is not None and found.spec.modality in _NO_PICTURES:
                raise InvalidInput(
                    f"{found.model} looks at {found.spec.modality}, and COCO and MOT are of pictures: give --model, or "
                    "export .csv, .jsonl or .parquet"
                )
            yield found


def _class_names(results: Iterable[Found]) -> set[str]:
    names, any_boxes = set[str](), False
    for found in _boxes_only(results):
        any_boxes = True
        # Also those that it never saw.
        names.update(found.spec.output.classes if found.spec is not None else ())
        names.update(found.class_name(int(index)) for index in found.value[:, 5])
    if not any_boxes:
        raise InvalidInput(_NONE)
    return names


def _images(results: Iterable[Found], size: tuple[int, int] | None) -> Iterator[dict[str, Any]]:
    last = None
    for found in _boxes_only(results):
        if found.answer == last:
            continue
        last = found.answer
        width, height = _size(found, size)
        name = f"{found.device}/{found.session}/{found.sequence}.jpg"
        yield {"id": found.answer, "file_name": name, "width": width, "height": height}


def _annotations(
    results: Iterable[Found], size: tuple[int, int] | None, categories: dict[str, int]
) -> Iterator[dict[str, Any]]:
    number = 0
    for found in _boxes_only(results):
        for left, top, width, height, score, index in _pixels(found, size):
            number += 1
            yield {
                "id": number,
                "image_id": found.answer,
                "category_id": categories[found.class_name(index)],
                "bbox": [round(side, 2) for side in (left, top, width, height)],
                "area": round(width * height, 2),
                "iscrowd": 0,
                "score": round(score, 4),
                "model": found.model,
                "origin": found.origin,
            }


def _pixels(found: Found, size: tuple[int, int] | None) -> Iterator[tuple[float, float, float, float, float, int]]:
    """Each box's left, top, width and height in pixels, its score and its class."""
    across, down = _size(found, size)
    for x1, y1, x2, y2, score, index in found.value.tolist():
        yield x1 * across, y1 * down, (x2 - x1) * across, (y2 - y1) * down, score, int(index)


def _size(found: Found, size: tuple[int, int] | None) -> tuple[int, int]:
    if found.width is not None and found.height is not None:
        return found.width, found.height
    if size is None:
        raise InvalidInput(
            f"{found.device}: how large its picture {found.sequence} was is not known: give --size, as 1280x720"
        )
    return size


def _write_each(write: Callable[[str], Any], items: Iterable[dict[str, Any]]) -> int:
    count = 0
    for count, item in enumerate(items, 1):
        write(("\n" if count == 1 else ",\n") + json.dumps(item, ensure_ascii=False))
    return count

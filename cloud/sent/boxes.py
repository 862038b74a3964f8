"""A stretch as data sets of boxes: COCO with its pictures in one file, or MOT."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from ...errors import InvalidInput
from ..ledger.detections import write_coco, write_mot
from ..ledger.query import Found
from ..ledger.viewer_time import iso_utc
from .stretch import Material


def write_coco_zip(material: Material, path: Path) -> None:
    """Writes `annotations.json` as COCO has it, and the pictures under the names that stand in it.

    Raises:
        InvalidInput: there are no boxes on pictures that are kept.
    """
    there = set[tuple[str, int]]()
    stream = material.stretch.stream
    annotations = path.with_name("annotations.json")

    def read() -> Iterator[Found]:
        return (found for found in material.results() if (found.session, found.sequence) in there)

    # Pictures are as small as they get.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file, material.pictures() as pictures:
        for each in pictures:
            there.add((each.session, each.sequence))
            file.writestr(f"{stream}/{each.session}/{each.sequence}.jpg", each.jpeg)
        write_coco(read, annotations)
        file.write(annotations, annotations.name, zipfile.ZIP_DEFLATED)


def write_mot_text(material: Material, path: Path) -> None:
    """Writes boxes as MOT has them; each is numbered -1, as nobody is followed here.

    Raises:
        InvalidInput: there are none, or they are of several models or runs.
    """
    models, sessions = set[str](), dict[str, int]()
    for found in material.results():
        if found.output.kind == "boxes":
            models.add(found.model)
            sessions.setdefault(found.session, found.answered_us)
    if len(models) > 1:
        raise InvalidInput(f"MOT: a file has the boxes of one model: choose {' or '.join(sorted(models))} (`model`)")
    if len(sessions) > 1:
        began = ", ".join(iso_utc(at_us) for at_us in sorted(sessions.values()))
        raise InvalidInput(
            f"MOT: a file is of one run of a device, which counts its frames; this time has {len(sessions)}, which "
            f"began at {began}: choose a time within one of them"
        )
    write_mot(material.results(), path)

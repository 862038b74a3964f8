"""What others wrote and the pages are made of is what their packages have."""

from hashlib import sha256

import pytest

from .web_packages import PACKAGES, Package


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_files_are_those_of_the_package(package: Package) -> None:
    for name, digest in package.files.items():
        assert sha256(package.stored(name)).hexdigest() == digest
    assert sha256(package.licence).hexdigest() == package.licence_sha256 and b"MIT License" in package.licence

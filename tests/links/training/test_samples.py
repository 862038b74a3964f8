from infilink.links.training.samples import Blocks


def test_blocks_are_apart_in_time() -> None:
    for count in (60, 61, 300, 1000):
        blocks = Blocks.split(count)
        assert blocks.train[-1] + 1 < blocks.validation[0]
        assert blocks.validation[-1] + 1 < blocks.report[0]
        assert blocks.report[-1] == count - 1

from infilink.links.training.measure import subsets


def test_subsets_are_all_of_few_and_some_of_many() -> None:
    assert len(subsets(("a", "b", "c"))) == 8
    many = subsets(tuple("abcdefghij"))
    assert len(many) == 1 + 10 + 45 + 1
    assert tuple("abcdefghij") in many

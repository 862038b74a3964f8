import numpy as np
from infilink.links.layout import FeatureLayout


def test_packing_one_is_packing_many() -> None:
    layout = FeatureLayout({"people": 2, "standing": 1, "vehicles": 5}, 3)
    rng = np.random.default_rng(0)
    now, then = (rng.normal(size=(1, layout.total)).astype(np.float32) for _ in range(2))
    last = rng.normal(size=(1, layout.target_length)).astype(np.float32)
    names = list(layout.lengths)
    for mask in ([1, 0, 1], [0, 0, 0], [1, 1, 1]):
        for age_s in (np.nan, 3.0):
            there = [name for name, on in zip(names, mask, strict=True) if on]
            buffer = np.zeros(layout.size, np.float32)
            layout.pack(
                buffer,
                {name: now[0, layout.slices[name]] for name in there},
                {name: then[0, layout.slices[name]] for name in there},
                None if np.isnan(age_s) else last[0],
                0.0 if np.isnan(age_s) else age_s,
            )
            masks = np.asarray([mask])
            assert np.allclose(buffer, layout.pack_many(now, then, last, masks, masks, np.asarray([age_s]))[0])

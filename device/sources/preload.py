"""What an agent's fork server does once on Linux, where no model runs on the device: imports what decoders need.

A model's process needs ten times as much (`infilink.models.preload`): an inference library, whose code would be in
memory for decoders that never run a model. What is imported is kept out of the garbage collector's sight, as there.
"""

import gc

from . import container, decoder, live, recording

__all__ = ["container", "decoder", "live", "recording"]

gc.collect()
gc.freeze()

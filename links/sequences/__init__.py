"""Links to models that give token sequences: an encoder, a decoder that attends to it, and the search that reads it."""

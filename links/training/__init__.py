"""From a recording to links: samples, networks, measurements, files."""

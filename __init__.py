"""infilink: learned input filters on the device, model links in the cloud, and an accuracy contract on both."""

__version__ = "0.1.0"

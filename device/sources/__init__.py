"""The sources of frames: video files, cameras and network streams."""

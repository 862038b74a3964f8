"""Where results go as they come: a function, JSON lines, a video, a live preview, a command."""

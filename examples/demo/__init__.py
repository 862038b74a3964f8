"""`infilink demo`: the whole way of a frame, on the rendered street or on a video and models of the user's."""

"""`infilink demo`: record, train, plan and serve, on the rendered street or on a video and models of the user's."""

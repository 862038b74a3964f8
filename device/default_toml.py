"""What `infilink init device` writes: every setting of the agent, with what it is for."""

DEFAULT_TOML = """\
# The agent: `infilink device --config device.toml`. Relative paths start at this file's folder.

# What this device is called: letters, digits, dots, dashes. By its name the coordinator knows how much its answers
# weigh, and filters and links what was learnt of this camera (`infilink record --camera NAME=SOURCE`).
name = "camera-1"

# Where the inputs come from: a video file, a stream (rtsp://...), or a camera's number ("0"); sounds, signals, lines of
# text and more: `infilink sources` lists all kinds.
source = "0"

# How inputs are cut from what the source gives; a filter's training said the same (`infilink record`). Of sounds and
# signals: `rate_hz`, `window_s` and `stride_s` (or `window`, `stride` in samples), `channels`; docs/STREAMS.md has all.
# cut = { rate_hz = 16000, window_s = 1.0 }

# Files: where to start, and how many seconds to take (all of it, if left out); start again at the end?
# start_s = 0.0
# seconds = 60.0
# loop = false

# One of how many of the source's inputs is looked at; as in `infilink record --every`, which a filter was learnt with.
# every = 1

# "source": at the source's own frame rate. "max": as fast as possible; with `queue = "all"` a coordinator that is short
# of compute holds a recording back to its own rate.
pace = "source"

# Where the coordinator (`infilink cloud`) listens.
coordinator = "127.0.0.1:7420"

# What of the picture nobody shall see: polygons, whose corners are x, y as shares of its width and height, from its
# upper left. They are black before anything else looks at a frame. `infilink device --draw FOLDER` shows them.
# mask = [[[0.0, 0.0], [0.3, 0.0], [0.3, 0.4], [0.0, 0.4]]]

# Which inputs are worth sending: "all", "every:K", "random:RATE", "difference:THRESHOLD", or the .onnx of a trained
# filter or reuse file; "filter.onnx@0.95": with another accuracy than it was trained for.
gate = "all"

# Heads, and a filter of kind stem, can go on learning from what the models say of the inputs that are sent and audited;
# this file keeps what they have learnt over a restart.
# update = "learnt.npz"

# A filter whose rule is Python code of yours (`call(rules.py:quiet)`): the audit and `update` run it only if its file
# is named here.
# rule_file = "rules.py"

# This file keeps a reuse file's results over a restart.
# cache = "results.cache"

# The live audit of a trained filter: this share of the inputs that it would not send is sent all the same, to measure
# how much accuracy it loses. If that is shown to be more than it promised, everything is sent until it keeps its
# promise again.
audit = 0.01

# JPEG quality, 1 to 100.
quality = 90

# How other inputs travel. "auto": sounds as "flac", which is exact; signals and maps as "raw" numbers. "opus": sounds,
# a tenth of the bytes, not exact. "int16", "int8": numbers that are rounded to so many bits. "raw": sounds, too.
# encoding = "auto"

# Which kept inputs are sent when they come faster than they are answered.
# "all": every one; capture waits while `window` inputs are unanswered.
# "latest": capture never waits; one input more is held back, and the newest kept one replaces it.
queue = "latest"

# The first part of a model (`infilink split`): it runs here, and its feature map travels instead of the frame; the
# coordinator serves the second part. The gate may then be a filter that was trained on these maps.
# head = "model.head.onnx"

# Models that run here, on the inputs that are kept: a folder, and which of its models (all, if left out). The
# coordinator must have the same files; it takes their outputs from this device and does not run them.
# local = "my_models"
# local_models = ["person"]

# What runs them, the one that is liked best first, as in cloud.toml: "cpu", "cuda" (needs onnxruntime-gpu), and, never
# tried by us, "tensorrt", "openvino", "coreml", "directml".
# providers = ["cpu"]

# What travels of a kept input. "frames": the input itself, with the outputs of the models here. "features": what a stem
# makes of a frame, under 1 KB; the coordinator, whose links must read the same stem, answers from that alone. "ask":
# features, and the frame where the coordinator asks for it (its `ask_loss`). "outputs": only the outputs of the models
# here; then no other model can run on the inputs, and the coordinator predicts what it can.
# send = "frames"

# The stem, as it lies in the coordinator's `links`; a filter with this stem inside needs none here. Frames that may be
# asked for are kept as JPEGs for so many seconds, in so many bytes.
# stem = "stem.onnx"
# keep_s = 10.0
# keep_bytes = 16777216

# Or a placement decides both (`infilink plan LINKS --devices devices.toml --out placement.json`), for the class of
# devices that this one belongs to: if left out, the class with its name, or the only one. `local` is then the folder.
# placement = "placement.json"
# device_class = "camera"

# The most inputs that may be unanswered at once.
window = 8

# Seconds after its capture from when on an input's answer is of no use (0: always of use). The clocks must agree.
# deadline_s = 0.0

# A SQLite file with every input's results; a file source starts it anew, a live one goes on with it.
# results = "results.sqlite"

# The token that the coordinator's operator made for this device (`infilink token new`); the certificate to trust, if it
# uses TLS; and this device's own certificate and key, if it wants to see one.
# token = ""
# tls_ca = "ca.pem"
# tls_cert = "device.pem"
# tls_key = "device.key"

# How long the coordinator may take to answer at the start, and to answer the last frames at the end.
connect_timeout_s = 10.0
answer_timeout_s = 30.0

# Where Prometheus reads this agent's figures, at /metrics; no token is asked for there. The coordinator has most of
# them, too, of all its devices.
# metrics_listen = "127.0.0.1:9421"

# Where to send traces of single inputs, from capture to result: an OTLP collector, over gRPC; and of which share of
# them. The coordinator goes on with them if it has `trace_to`, too. It needs more packages: pip install
# 'infilink[tracing]'.
# trace_to = "http://127.0.0.1:4317"
# trace_share = 0.01

# Several streams: a table for each, by its name; the coordinator calls it NAME/STREAM. What stands above holds for all
# of them, and a table says what is otherwise: any key from `source` to `results`. Each has its own gate, models and
# results. While the agent runs, this file may be edited: streams that were added, changed or removed are started,
# started anew or stopped, and the others go on.
# [streams.door]
# source = "rtsp://camera/door"
# gate = "door.onnx"
# [streams.mic]
# source = "alsa:default"
# cut = { rate_hz = 16000, window_s = 1.0 }
"""

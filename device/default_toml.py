"""What `infilink init device` writes: every setting of the agent, with what it is for."""

DEFAULT_TOML = """\
# The agent: `infilink device --config device.toml`. Relative paths start at this file's folder.
# Times and sizes may be written with their unit: late_s = "2min", size_bytes = "1GiB", bytes_per_s = "64kbit".

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

# While the gate can't decide (it fails on every input, or the camera was moved or covered) the first 50 inputs pass,
# then this share of them.
open_share = 0.5

# JPEG quality, 1 to 100.
quality = 90

# How pictures travel. "auto": as H.264, each picture as what differs from those before it, or as "jpeg", whichever
# takes less of what comes here; "h264": never as JPEGs, where the coordinator takes that.
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

# A SQLite file with every input's results. A live source goes on with it; a file source begins a new one, and the file
# of the run before is set aside as results.1.sqlite, results.2.sqlite and so on. All of them together take at most
# `results_bytes`: then the oldest run's go, then the oldest rows. While it can't be written (a full disk, another
# program that holds it locked) rows wait in memory, up to 32 MiB of them.
# results = "results.sqlite"
# results_bytes = 1073741824

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

# The spool: inputs wait on disk until they are answered; so the agent works without a coordinator, and goes on after a
# kill or a power cut. In `folder` each stream has a SQLite file; without it inputs wait in memory alone. An input
# is sent at once, and counts as taken when it is synced, `sync_every_s` later at most (or answered before that).
# All of it is bounded: `size_bytes` and `count` of inputs that wait, and `age_s`, after which nobody waits for them.
# `full` says what is done where there is no more room: "drop_oldest" (if left out, for live sources),
# "drop_lowest_value" (the gate's score; audited inputs count highest), "block_source" (for recordings).
# `order` says what goes first: "oldest" (with `queue = "all"`), "live" (with "latest": what was taken within `late_s`,
# the newest first, then the rest in order), "value". A result that comes later than `late_s` is marked as late.
# While the disk takes nothing, inputs wait in memory, in `memory_bytes`; as much of what comes at once may wait to be
# encoded. `bytes_per_s`, `bytes_a_day`, `calls_a_day` bound what is sent (0: not at all; a day is one of UTC).
[spool]
folder = "spool"
# size_bytes = 1073741824
# count = 100000
# age_s = 2592000.0
# full = "drop_oldest"
# order = "live"
# late_s = 10.0
# sync_every_s = 0.2  # Also how often the results file is written, with and without a spool.
# memory_bytes = 16777216
# bytes_per_s = 0
# bytes_a_day = 0
# calls_a_day = 0

# Whether an operator of the coordinator may give this device's streams another filter than `gate` says (its fleet page,
# `infilink fleet filter`). "proven": one with a certificate, which gives way if it is soon shown to break it; "any":
# also one without; "no": none. They are kept in `folder`; if left out, in the folder `filters` of the spool's, or
# beside this file. `gate` stays as it is, and decides again as soon as it is changed here.
[filters]
from_coordinator = "proven"
# folder = "filters"

# Videos and network streams: which packets are decoded at all, by their sizes (`infilink train packets`). Pictures
# between these have the last answer. `gate` is the file. `budget` is the share of the time for decoding all that may be
# spent, over all streams that have the same one; "auto": whatever the certified threshold takes. Of the groups of
# pictures the share `explore` is decoded whole all the same, to measure what is lost.
# [packets]
# gate = "packets.onnx"
# budget = "auto"
# explore = 0.02

# How pictures travel as H.264. `crf`: x264's constant rate factor; the higher, the coarser and the smaller. `chain`:
# how many may refer to one another: the more, the less they take, and the more is sent again where a connection breaks.
# `cpu_share`: of one core's time, what encoding may take; above, it searches less, and then "auto" sends JPEGs a while.
# [video]
# crf = 22
# chain = 128
# cpu_share = 0.5

# What the agent leaves out when the device or its link can't bear all of it: level by level "stricter" (the gate keeps
# fewer), "slower" (one of `every` inputs is decided on), "features" (with send = "ask": no frame travels), "local"
# (nothing is sent). Up one level when a reading has been at its limit for `up_after_s`, at once where it is far beyond
# it, down one when all have been at ease for `down_after_s`. The log, the results' column `level`, the coordinator's
# `infilink status` and the metrics say where it is and why. A limit of 0 is not looked at, and what the device does not
# say presses nothing. A recording with pace = "max" is never governed. A stream's table may have its own `governor`
# with `on`, `accuracy` and `every`.
# [governor]
# on = true
# temperature_c = 75.0  # 90 where none is set on x86-64. A Raspberry Pi slows itself down from 80 on.
# throttling = true  # Its firmware's flags: slowed down, or too little voltage.
# cpu_share = 0.97  # Of the processors, over a minute.
# memory_free_share = 0.06  # Of the device's memory, or its container's.
# battery_share = 0.2  # While it is discharged.
# disk_free_bytes = "256MiB"  # Where results and spool lie.
# round_trip_s = 10.0  # From sending an input to its answer.
# lost_share = 0.2  # Of the kept inputs, what the link can't take.
# send_bytes_per_s = 0  # "64kbit" or "8kB/s": what all streams may send together.
# up_after_s = 20.0
# down_after_s = 60.0
# highest = "local"
# accuracy = 0.8  # What the gate is asked for when it is stricter; left out: twice the loss that it promises.
# every = 2
# sysfs = "/sys"  # Where the system's figures lie; otherwise in a container that has them elsewhere.

# What of a picture travels. The sizes of its longer side, the largest first: the governor goes down this ladder when
# the link or the device is short (one size alone: always that); and the regions that travel, as polygons like `mask`:
# the rest is grey, which costs hardly a byte. Gate and models here see all of it (docs/AGENT.md has what both cost).
# [picture]
# longest_side = [1280, 960, 640]
# regions = [[[0.0, 0.4], [1.0, 0.4], [1.0, 1.0], [0.0, 1.0]]]

# Where results go besides, as they come: any number of these tables, each of its own `kind` (docs/AGENT.md). Every
# stream's results go there, unless a stream's table has `sinks` of its own.
# JSON lines, in files of `size_bytes` each: results.jsonl, then results.jsonl.1 and so on. path = "-": standard output.
# [[sinks]]
# kind = "jsonl"
# path = "results.jsonl"
# size_bytes = 67108864
# files = 4
# events_only = false
# Video (H.264) with the results drawn in, in pieces of some minutes; the oldest go when there is no room.
# [[sinks]]
# kind = "video"
# folder = "annotated"
# format = "mp4"
# minutes = 10.0
# size_bytes = 1073741824
# longest_side = 1280
# fps = 30.0
# crf = 26
# A live preview for a browser on this machine: whoever reaches the address sees the pictures, without a token.
# [[sinks]]
# kind = "preview"
# listen = "127.0.0.1:8420"
# longest_side = 960
# A command of yours, given JSON on its standard input; no shell looks at it. on = "change": when a model says something
# else than before; "event": for each picture of an event; "input": for every input.
# [[sinks]]
# kind = "command"
# run = ["notify-send", "somebody is at the door"]
# on = "change"
# models = []
# classes = ["person"]
# every_s = 1.0
# timeout_s = 10.0
# at_once = 1

# The best picture of each event (a class that is seen for at least 0.5 s), once it is over: a JPEG, with JSON beside.
# [event_pictures]
# folder = "events"
# classes = ["person"]
# models = []
# before_s = 0.5
# longest_s = 60.0
# quality = 95
# size_bytes = 536870912

# A camera that is moved, switched to infrared, covered, out of focus: while it is, inputs pass (see `open_share`),
# nothing is learnt or audited, and the gate starts anew once a view has stayed as it is for `settle_s`. Pictures alone.
[camera]
watch = true
settle_s = 10.0

# Several streams: a table for each, by its name; the coordinator calls it NAME/STREAM. What stands above holds for all
# of them, and a table says what is otherwise: any key from `source` to `results`. Each has its own gate, models and
# results. While the agent runs, this file may be edited: streams that were added, changed or removed are started,
# started anew or stopped, and the others go on. Another gate, or another file of its name, is taken up in between.
# [streams.door]
# source = "rtsp://camera/door"
# gate = "door.onnx"
# [streams.mic]
# source = "alsa:default"
# cut = { rate_hz = 16000, window_s = 1.0 }
"""

"""The coordinator's settings as `infilink init cloud` writes them: every key, explained."""

DEFAULT_TOML = """\
# The coordinator: `infilink cloud --config cloud.toml`. Relative paths start at this file's folder.
# Times and sizes may be written with their unit: watch_models_s = "2min", max_input_bytes = "16MiB".

# Where devices connect; port 0 takes a free one and prints it.
listen = "127.0.0.1:7420"

# The folder with the models, each with its spec (`infilink init model`): files NAME.onnx, or folders with versions,
# NAME/1/model.onnx, of which the newest is served. It is looked at every so many seconds (0: only at the start): what
# is new there is loaded and tried before inputs go to it, and what can't be loaded leaves the one before in its place.
models = "my_models"
watch_models_s = 2.0

# The folder that `infilink train links` wrote; `answers = "links"` needs it. Of each kind of inputs there may be one:
# ["links-cameras", "links-microphones"].
# links = "links"

# How inputs are answered. "full": every model runs on every input. "links": the models that fit the budget run, and the
# others are predicted from their outputs. "hold": the models that fit run, and the others repeat their last output.
answers = "full"

# Or a placement decides what runs for which devices (`infilink plan LINKS --devices devices.toml --out
# placement.json`), instead of `answers` and `budget`; it needs `links`.
# placement = "placement.json"

# The memory that all models together may take: "200MiB", "1.5GiB", "40%" of what they all take, or "none". With cards a
# table, a budget each: { host = "4GiB", "cuda:0" = "20GiB" }; a card's percentage is of the card.
budget = "none"

# How much of a budget must be free before a model is loaded that was never measured there.
reserve = { host = "64MiB", cuda = "1GiB" }

# What runs the models, the one that is liked best first: "cpu", "cuda" (needs onnxruntime-gpu in the place of
# onnxruntime), or, handed on but never tried by us, "tensorrt", "openvino", "coreml", "directml"; with options as
# { name = "cuda", gpu_mem_limit = "4GiB" }, which bounds what one model's arena takes. Without its card the processors
# run a model, with a warning. [model.NAME] below says it for one model.
providers = ["cpu"]

# The processors' time that all models together may spend: "1.5 cores", "0.5" of one, or "all" that this process may
# run on. With "links" and "hold" each model runs on the inputs where that is expected to tell most for what it costs,
# as far as this allows, and is loaded while enough inputs wait for it.
compute = "all"

# A model that was chosen for an input but whose turn does not come within so many seconds is answered for without.
answer_within_s = 1.0

# With "links" and "hold" every model runs on every stream at least so often, whatever it is expected to tell (0: no
# such rule), as far as the budgets allow; and on this share of the inputs just to see how good answers are without it
# (a tenth of the compute goes to that at most).
least_every_s = 60.0
audit = 0.01

# A device that sends features first (`send = "ask"`) is asked for the frame where models would run on it and are
# expected to prevent at least so many losses together, on this input and those that follow: 1.0 is as much as one model
# that is answered for wrongly once. Less means more frames; 0: wherever any model would run.
ask_loss = 1.0

# Threads of one inference.
threads = 1

# Every answer is on disk here before it is sent, so that none is lost and none is made twice: a SQLite file, or a
# PostgreSQL database ("postgresql+psycopg://USER@HOST/DATABASE"; the password may stand in ~/.pgpass or PGPASSWORD).
# `infilink results` reads it, `infilink backup` copies it while it is written to.
ledger = "ledger.sqlite"

# How long answers are kept, and how much of them: the oldest go first (0: no such limit).
keep_days = 30.0
keep_bytes = 4294967296

# While the ledger's disk is full, or its database is away: "refuse" inputs, or "answer" without keeping the answers.
full_disk = "refuse"

# How many streams of devices may be connected at once (a camera has one), how many of them one device may have, and how
# many inputs of a stream may wait for an answer.
max_devices = 32
max_streams = 16
max_in_flight = 16

# The largest input: in bytes as it travels, and in pixels as a picture.
max_input_bytes = 8388608
max_input_pixels = 33554432

# What all inputs that wait for models may take together: as they came, and again as they are decoded. While there is no
# room, devices are not read from; an input that has a deadline is refused.
max_waiting_bytes = 268435456

# The largest model, with its data files, that an operator may bring (`infilink models add`).
max_model_bytes = 4294967296

# An inference that takes longer is ended, and its model is loaded again.
infer_timeout_s = 30.0

# Where Prometheus reads figures, at /metrics: an address of this machine, as no token is asked for there.
# metrics_listen = "127.0.0.1:9420"

# Where the Open Inference Protocol (KServe v2) is spoken over HTTP, too, /metrics beside it: with the certificate and
# tokens below. Over gRPC it is spoken at `listen`.
# http_listen = "127.0.0.1:7480"

# Where a browser sees the site: its streams with what was said of them, models, memory, faults. With the certificate
# and tokens below; it may be the same address as `http_listen`. docs/DASHBOARD.md.
# dashboard_listen = "127.0.0.1:7480"

# A folder of recordings (`infilink record`), which the dashboard's filter tuner learns filters from and judges them on.
# New filters are written there. docs/DASHBOARD.md.
# recordings = "recordings"

# A folder of filters that the page /phone offers to a phone with a camera; what it keeps goes up as a device's does.
# phone_filters = "filters"

# Whether phones are to come in (`infilink cloud --phone`): what is missing for that is made, namely a certificate by an
# authority of this machine's own (LEDGER.authority), a file of tokens, and `dashboard_listen`, at 0.0.0.0:7480.
phone = false

# Where to send traces of single inputs, as the devices have begun them: an OTLP collector, over gRPC. It needs more
# packages: pip install 'infilink[tracing]'.
# trace_to = "http://127.0.0.1:4317"

# How much one device may send a second, as inputs and as bytes of them; more has to wait on the device (0: any). A
# request of the Open Inference Protocol counts as its stream's, or its sender's; more is refused.
device_inputs_per_s = 0.0
device_bytes_per_s = 0.0

# Who may call: the tokens that `infilink token new` writes, each with what it may do; or one token for everything.
# tokens = "tokens.toml"
# token = ""

# The certificate and key to use TLS with; and who signs the certificates that callers have to show (their name is then
# the device's). What is renewed is taken up without a restart. docs/SECURITY.md says how to make them.
# tls_cert = "cert.pem"
# tls_key = "key.pem"
# tls_client_ca = "devices-ca.pem"

# New devices enroll themselves by a one-time code (`infilink enroll NAME`, or the fleet page): each gets a token of its
# own in `tokens`, or, where this is the key of `tls_client_ca`, a certificate of its own, for so many days. As callers
# at `listen` need a certificate then, who has none yet asks at `enroll_listen`, where nothing else can be called.
# `infilink init authority` makes both files.
# tls_client_ca_key = "devices-ca.key"
# enroll_listen = "0.0.0.0:7421"
# enroll_days = 365

# Listening to other machines needs TLS and tokens; true: let it be without.
insecure = false

# How much answers matter beside each other, where the budgets do not allow everything; what is not named weighs 1.
# Streams by the device's name (`*` and `?` allowed, the first that fits counts), models by name, and classes as
# "model:class": an answer that names the class.
[weights]
# streams = { "door-*" = 2.0 }
# models = { detector = 2.0 }
# classes = { "detector:person" = 3.0 }

# With `dashboard_listen`, the newest pictures that devices sent are kept beside the ledger (LEDGER.pictures), for the
# pages of the streams: so much of all, and of one (0: none), of the streams whose names are meant (`*` and `?` allowed;
# [] of none), and none longer than `keep_days`. Where nobody may see them later, leave such streams out.
[pictures]
keep_bytes = 268435456
keep_stream_bytes = 67108864
streams = ["*"]

# Of single models, what is to be otherwise than above: what runs it, on which card, on how many threads, and whether it
# stays loaded whatever it is worth.
# [model.detector]
# providers = ["cuda"]
# device = 0
# threads = 2
# pinned = true
# processes = 2               # without it: another one while its inputs wait, as far as cores and memory allow
# max_batch = 8               # inputs that share a run, where the graph leaves their number open
# preferred_batches = [4, 8]
# batch_delay_s = 0.002

# Where results are published as they are kept, of `devices` and `models` by name (`*` and `?` allowed): to an MQTT
# broker, where Home Assistant finds them; `classes` get a sensor of their own. docs/RESULTS.md.
# [mqtt]
# host = "127.0.0.1"
# classes = ["person"]

# Or posted to a URL as JSON.
# [webhook]
# url = "https://example.org/infilink"
# token = ""
"""

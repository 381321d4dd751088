# The one door for people. The commands themselves stand in .ci/run and tests/run, which CI calls.

# List the recipes.
default:
    @just --list --unsorted

# Build and run a node with ./avouch-data.
serve *flags:
    cargo run --release -- serve {{ flags }}

# Formatting, lints, documentation and our example contracts, each without a complaint.
check:
    .ci/run fmt clippy doc schemas

# The README's story, printed, on a node of its own.
story:
    tests/run story

# What needs Rust only.
test:
    cargo test

# Everything, foreign clients and crashes included; installs what it needs.
test-all:
    tests/run

# Fresh pairs of schemas that Avro's Java and fastavro confirm; a seed repeats a run.
oracle seed="":
    ORACLE_SEED={{ seed }} tests/run oracle

# The real binary with kcat, confluent-kafka, aiokafka, kafkajs, Java, Kafka's tools, rdkafka, krafka.
clients:
    tests/run clients

# Producers with many requests in flight, and a broker that is killed again and again.
crash:
    tests/run crash

# The same over 500 kills, a good ten minutes.
crash-long kills="500":
    AVOUCH_KILLS={{ kills }} tests/run crash

# The log on simulated disks that fail: 100,000 workloads, each made from a seed that a failure names.
fuzz-log seeds="0..100000":
    AVOUCH_LOG_SEEDS={{ seeds }} cargo test --release -p avouch-log --lib tests::seeds

# Produce with acks=all: records per second, p99; from ack to a waiting consumer; from subscribing to partitions.
bench-produce seconds="10":
    benches/kafka/run-produce {{ seconds }}

# Avouch beside Apache Kafka in alternating rounds, about a quarter of an hour; writes
# docs/benchmarks/broker.json and renders it. `only` measures rows again whose names hold it.
bench-broker rounds="5" seconds="3" only="":
    tests/run install
    cargo build --release
    AVOUCH_BIN=target/release/avouch cargo run --release -p avouch-bench-kafka --bin bench_kafka -- \
        {{ if only == "" { "" } else { "--only " + quote(only) } }} {{ rounds }} {{ seconds }}
    cargo run -p avouch-bench-report

# docs/compatibility.md from what the tests show of each client.
compatibility:
    tests/run install build
    rm -f target/shown.tsv
    AVOUCH_SHOWN=$PWD/target/shown.tsv cargo test -p avouch-tests --test it -- clients acceptance compaction kafka_tools member_kills
    cargo run -p avouch-tests --bin matrix target/shown.tsv

# The Avro validator against its peers; writes docs/benchmarks/avro.json and renders it.
bench-avro:
    cargo run --release -p avouch-bench-avro

# Parsing and comparing schemas against apache-avro and Java; writes docs/benchmarks/model.json.
bench-model:
    cargo run --release -p avouch-bench-avro -- model

# What a contract costs the broker; writes docs/benchmarks/contract.json and renders it.
bench-contract:
    cargo build --release
    cargo run --release -p avouch-bench-contract

# What the registry costs; writes docs/benchmarks/registry.json and renders it.
bench-registry:
    cargo build --release
    cargo run --release -p avouch-bench-registry

# docs/benchmarks.md from the committed figures.
render:
    cargo run -p avouch-bench-report

# The log alone against the bare disk, some minutes; writes docs/benchmarks/log.json and renders it.
bench-log:
    cargo build --release
    cargo run --release -p avouch-bench-log

# Start after kill -9 over so many GB, one after the other, 33 GB of disk; adds to the same JSON.
bench-restart +gb="1 10 30":
    cargo build --release
    cargo run --release -p avouch-bench-log -- restart {{ gb }}

# The validator's fast loops against safe code; 16,000 rounds take about an hour on two cores.
fuzz-avro rounds="16000":
    AVOUCH_FUZZ_ROUNDS={{ rounds }} cargo test --release -p avouch-avro --test avro differential

# All Avro tests under AddressSanitizer, which sees every access beyond a buffer.
asan-avro:
    tests/run asan

# The Avro tests under valgrind, which sees every read beyond a buffer.
valgrind-avro:
    tests/valgrind-avro

# Coverage-guided fuzzing under AddressSanitizer; the default is about an hour on two cores.
fuzz seconds="900" *targets:
    fuzz/run {{ seconds }} {{ targets }}

# What CI runs.
ci:
    .ci/run

# Bans, licences and sources of the dependency tree.
deny:
    .ci/run deny

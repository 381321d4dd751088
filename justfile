# Recipes for people. CI runs `.ci/run`, which runs `tests/run`.

# List the recipes.
default:
    @just --list --unsorted

# Build and run a node with ./avouch-data.
serve *flags:
    cargo run --release -- serve {{ flags }}

# Check formatting, lints, documentation, spelling and the conformance tables.
check:
    .ci/run fmt docs clippy doc typos

# Report words, names and comments that are not plain technical English.
language *paths:
    tests/language.py {{ paths }}

# Write the names of the tests into docs/conformance.
conformance:
    tests/conformance.py

# Print the README's quickstart on a new node.
story:
    tests/run story

# Run the tests that need only Rust.
test:
    cargo test

# Install what the tests need and run all of them.
test-all:
    tests/run

# Have Avro's Java and fastavro check new pairs of schemas; a seed repeats a run.
oracle seed="":
    ORACLE_SEED={{ seed }} tests/run oracle

# Run the tests with kcat, confluent-kafka, kafka-python, aiokafka, kafkajs, Java, Kafka's tools, rdkafka and krafka.
clients:
    tests/run clients

# Run the crash tests.
crash:
    tests/run crash

# Kill brokers 500 times; takes more than ten minutes.
crash-long kills="500":
    AVOUCH_KILLS={{ kills }} NEXTEST_PROFILE=long tests/run crash

# Cut the power at random points of a node's disk, fail its operations and corrupt its files; needs FUSE.
disk-faults rounds="200" seed="1":
    AVOUCH_DISK_FAULTS={{ rounds }} AVOUCH_SEED={{ seed }} NEXTEST_PROFILE=long \
        cargo nextest run -p avouch -p avouch-tests --run-ignored all -E 'test(/^disk_faults::/)'

# Send mutated requests of every API in every message layout to a node.
hostile-frames mutations="2000" seed="1":
    AVOUCH_HOSTILE_FRAMES={{ mutations }} AVOUCH_SEED={{ seed }} NEXTEST_PROFILE=long \
        cargo nextest run -p avouch -p avouch-tests --run-ignored all -E 'test(/^hostile_frames::/)'

# Run 100,000 seeded workloads of the log on simulated disks that fail; a failure prints its seed.
fuzz-log seeds="0..100000":
    AVOUCH_LOG_SEEDS={{ seeds }} cargo test --release -p avouch-log --lib tests::seeds

# Measure produce with acks=all, the latency from ack to consumer, and the time to join a group.
bench-produce seconds="10":
    benches/kafka/run-produce {{ seconds }}

# Compare the broker with Apache Kafka (15 minutes) and update docs/benchmarks; `only` selects rows by name.
bench-broker rounds="5" seconds="3" only="":
    tests/run install
    cargo build --release
    cargo run --release -p avouch-bench-kafka --bin bench_kafka -- \
        {{ if only == "" { "" } else { "--only " + quote(only) } }} {{ rounds }} {{ seconds }}
    cargo run -p avouch-bench-report

# Write docs/compatibility.md from the results of the client tests.
compatibility:
    tests/run install build
    rm -f target/shown.tsv
    AVOUCH_SHOWN=$PWD/target/shown.tsv cargo test -p avouch-tests --test it -- clients acceptance compaction kafka_tools member_kills rejected_batches
    cargo run -p avouch-tests --bin matrix target/shown.tsv

# Compare the Avro validator with other libraries and update docs/benchmarks.
bench-avro:
    cargo run --release -p avouch-bench-avro

# Compare schema parsing and compatibility checks with apache-avro and Java, and update docs/benchmarks.
bench-model:
    cargo run --release -p avouch-bench-avro -- model

# Compare encoding, decoding and resolution with other libraries and update docs/benchmarks.
bench-codec:
    cargo run --release -p avouch-bench-avro -- codec

# Measure the cost of contracts in the broker and update docs/benchmarks.
bench-contract:
    cargo build --release
    cargo run --release -p avouch-bench-contract

# Measure the registry and update docs/benchmarks.
bench-registry:
    cargo build --release
    cargo run --release -p avouch-bench-registry

# Measure the log without the broker and update docs/benchmarks.
bench-log:
    cargo build --release
    cargo run --release -p avouch-bench-log

# Measure the restart after kill -9 with that many GB of data (33 GB of disk) and update docs/benchmarks.
bench-restart +gb="1 10 30":
    cargo build --release
    cargo run --release -p avouch-bench-log -- restart {{ gb }}

# Write docs/benchmarks.md from the committed results.
render:
    cargo run -p avouch-bench-report

# Compare the fast validator with the reference interpreter; 16,000 rounds take an hour on two cores.
fuzz-avro rounds="16000":
    AVOUCH_FUZZ_ROUNDS={{ rounds }} cargo test --release -p avouch-avro --test avro differential

# Run the Avro tests under AddressSanitizer.
asan-avro:
    tests/run asan

# Run the Avro tests under valgrind.
valgrind-avro:
    serde-avro/core/tests/valgrind

# Run the fuzz targets under AddressSanitizer; by default an hour on two cores.
fuzz seconds="900" *targets:
    fuzz/run {{ seconds }} {{ targets }}

# Run what CI runs.
ci:
    .ci/run

# Check bans, licences and sources of the dependencies.
deny:
    .ci/run deny

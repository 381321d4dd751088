package avouch.clients;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Idempotent producers that send continuously until stdin is closed. Prints each record before it is
 * sent, each acknowledgement, and the number of requests in flight. */
final class Load {
    private static final long PAUSE_MS = 10;

    private final Arguments args;
    private final int waitingMax;
    private final List<Source> sources = new ArrayList<>();

    private Load(Arguments args) {
        this.args = args;
        this.waitingMax = args.number("waiting", 30);
        for (int i = 0; i < args.number("producers", 1); i++) {
            sources.add(new Source(i, new KafkaProducer<>(properties(args))));
        }
    }

    static void run(Arguments args) throws IOException, InterruptedException {
        Load load = new Load(args);
        // Nothing is written to stdin: closing it is the signal to stop.
        Thread listener = new Thread(Load::awaitEndOfInput);
        listener.start();
        while (listener.isAlive()) {
            load.sources.forEach(Source::fill);
            new Event("output").with("kind", "inflight").with("count", load.inFlight()).emit();
            Thread.sleep(PAUSE_MS);
        }
        load.sources.forEach(source -> source.producer.close());
    }

    private static void awaitEndOfInput() {
        try {
            while (System.in.read() >= 0) {}
        } catch (IOException ended) {
            return;
        }
    }

    private long inFlight() {
        return sources.stream().mapToLong(Source::inFlight).sum();
    }

    private static Properties properties(Arguments args) {
        Properties properties = new Properties();
        properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, args.text("bootstrap"));
        properties.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class);
        properties.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class);
        properties.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true);
        properties.put(ProducerConfig.MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION, 5);
        properties.put(ProducerConfig.LINGER_MS_CONFIG, 0);
        properties.put(ProducerConfig.BATCH_SIZE_CONFIG, 0);
        properties.put(ProducerConfig.BUFFER_MEMORY_CONFIG, 1 << 20);
        properties.put(ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, 5_000);
        properties.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, 300_000);
        properties.put(ProducerConfig.RECONNECT_BACKOFF_MS_CONFIG, 20);
        properties.put(ProducerConfig.RECONNECT_BACKOFF_MAX_MS_CONFIG, 200);
        return properties;
    }

    /** One producer and its records that are not yet acknowledged. */
    private final class Source {
        private final int number;
        private final KafkaProducer<byte[], byte[]> producer;
        private final AtomicInteger waiting = new AtomicInteger();
        private int sent;

        Source(int number, KafkaProducer<byte[], byte[]> producer) {
            this.number = number;
            this.producer = producer;
        }

        void fill() {
            while (waiting.get() < waitingMax) {
                waiting.incrementAndGet();
                send("java " + number + " record " + sent, sent++ % args.number("partitions"));
            }
        }

        private void send(String value, int partition) {
            new Event("output")
                    .with("kind", "sent")
                    .with("producer", number)
                    .with("partition", partition)
                    .with("value", value)
                    .emit();
            byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
            producer.send(
                    new ProducerRecord<>(args.text("topic"), partition, null, bytes),
                    (metadata, exception) -> {
                        waiting.decrementAndGet();
                        // A record that the client gave up on can be stored or not: its state is
                        // unknown.
                        if (exception == null) {
                            new Event("acked")
                                    .with("value", value)
                                    .with("partition", metadata.partition())
                                    .with("offset", metadata.offset())
                                    .emit();
                        }
                    });
        }

        long inFlight() {
            return producer.metrics().entrySet().stream()
                    .filter(metric -> metric.getKey().name().equals("requests-in-flight"))
                    .filter(metric -> metric.getKey().group().equals("producer-metrics"))
                    .mapToLong(metric -> ((Number) metric.getValue().metricValue()).longValue())
                    .sum();
        }
    }
}

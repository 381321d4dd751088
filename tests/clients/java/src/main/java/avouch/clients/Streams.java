package avouch.clients;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

/**
 * A Kafka Streams application with validated topics: counts orders per customer and emits the counts
 * when their window is closed. It uses a repartition topic and two changelog topics. Invalid records
 * go to a dead letter topic, in the format of Spring's DeadLetterPublishingRecoverer.
 *
 * <p>streams --bootstrap HOST:PORT --orders-id ID --counts-id ID
 */
final class Streams {
    private static final int CUSTOMERS = 5;
    private static final int ORDERS_EACH = 4;
    private static final long START_MS = 1_795_305_600_000L;
    private static final long AFTER_THE_WINDOW_MS = 600_000;

    private Streams() {}

    static void run(Arguments args) throws Exception {
        String bootstrap = args.text("bootstrap");
        int countsId = args.number("counts-id");
        produceOrders(bootstrap, args.number("orders-id"));
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "app");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("streams").toString());
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        KafkaStreams streams = new KafkaStreams(topology(countsId), settings);
        try {
            streams.start();
            consumeCounts(bootstrap).forEach((customer, count) -> System.out.println(customer + " " + count));
        } finally {
            streams.close();
            streams.cleanUp();
        }
    }

    private static org.apache.kafka.streams.Topology topology(int countsId) {
        StreamsBuilder builder = new StreamsBuilder();
        Serde<String> text = Serdes.String();
        Serde<byte[]> bytes = Serdes.ByteArray();
        builder.stream("orders", Consumed.with(text, bytes))
                .map((key, value) -> KeyValue.pair(key.split("/")[0], value))
                .groupByKey(Grouped.with("by-customer", text, bytes))
                .windowedBy(TimeWindows.ofSizeWithNoGrace(Duration.ofMinutes(1)))
                .count(Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("counts").withKeySerde(text))
                .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()).withName("closed"))
                .toStream((window, count) -> window.key())
                .mapValues(count -> framed(countsId, zigzag(count)))
                .to("counts", Produced.with(text, bytes));
        return builder.build();
    }

    private static void produceOrders(String bootstrap, int id) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap);
        StringSerializer keys = new StringSerializer();
        try (var producer = new KafkaProducer<>(settings, keys, new ByteArraySerializer())) {
            for (int order = 0; order < CUSTOMERS * ORDERS_EACH; order++) {
                String key = "c" + order % CUSTOMERS + "/" + order;
                producer.send(new ProducerRecord<>("orders", 0, START_MS + order, key, order(id, key)));
            }
            String last = "last/0";
            long late = START_MS + AFTER_THE_WINDOW_MS;
            producer.send(new ProducerRecord<>("orders", 0, late, last, order(id, last))).get();

            byte[] broken = {1, 2, 3};
            var dead = new ProducerRecord<>("orders-dlt", 0, "c0/0", broken);
            dead.headers().add("kafka_dlt-original-topic", "orders".getBytes(StandardCharsets.UTF_8));
            dead.headers().add("kafka_dlt-original-partition", new byte[] {0, 0, 0, 0});
            dead.headers().add("kafka_dlt-original-offset", new byte[8]);
            dead.headers().add("kafka_dlt-exception-fqcn", "SerializationException".getBytes(StandardCharsets.UTF_8));
            System.out.println("dead letter at " + producer.send(dead).get().offset());
        }
    }

    /** Returns the counts of all customers except the last, whose window stays open. */
    private static Map<String, Long> consumeCounts(String bootstrap) {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", bootstrap, "group.id", "readers", "auto.offset.reset", "earliest");
        Map<String, Long> counts = new TreeMap<>();
        try (var consumer =
                new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of("counts"));
            while (counts.size() < CUSTOMERS) {
                consumer.poll(Duration.ofMillis(200))
                        .forEach(record -> counts.put(record.key(), record.value()[5] / 2L));
            }
        }
        return counts;
    }

    /** Encodes an Avro string of fewer than 64 bytes. */
    private static byte[] order(int id, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        byte[] datum = ByteBuffer.allocate(bytes.length + 1).put((byte) (2 * bytes.length)).put(bytes).array();
        return framed(id, datum);
    }

    /** Encodes an Avro long below 64. */
    private static byte[] zigzag(long value) {
        return new byte[] {(byte) (2 * value)};
    }

    private static byte[] framed(int id, byte[] datum) {
        return ByteBuffer.allocate(5 + datum.length).put((byte) 0).putInt(id).put(datum).array();
    }
}

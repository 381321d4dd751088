package avouch.clients;

import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Sends numbered values with each codec and reports the result of each value. */
final class Produce {
    static void run(Arguments args) {
        for (String codec : args.text("codecs", "none").split(",")) {
            try (var producer = new KafkaProducer<String, byte[]>(properties(args, codec))) {
                payloads(args, codec).forEach((name, value) -> send(producer, args, name, value));
                producer.flush();
            }
        }
    }

    /** Sends a record with a callback that reports its partition and offset. */
    private static void send(
            KafkaProducer<String, byte[]> producer, Arguments args, String name, byte[] value) {
        var record =
                new ProducerRecord<>(
                        args.text("topic"), args.number("partition"), args.text("key"), value);
        producer.send(
                record,
                (metadata, exception) -> {
                    if (exception == null) {
                        new Event("acked")
                                .with("value", name)
                                .with("partition", metadata.partition())
                                .with("offset", metadata.offset())
                                .emit();
                    } else {
                        new Event("failed")
                                .with("value", name)
                                .with("code", Errors.forException(exception).code())
                                .with("class", exception.getClass().getSimpleName())
                                .with("text", exception.getMessage())
                                .emit();
                    }
                });
    }

    private static Properties properties(Arguments args, String codec) {
        int timeoutMs = args.number("timeout-ms", 30_000);
        int requestMs = Math.min(5000, timeoutMs / 2);
        Properties properties = new Properties();
        properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, args.text("bootstrap"));
        properties.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, StringSerializer.class);
        properties.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class);
        properties.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, codec);
        properties.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, args.has("idempotent"));
        properties.put(ProducerConfig.BATCH_SIZE_CONFIG, args.number("batch-size", 16_384));
        // A batch ends when it is full or at the flush; a short linger would split batches on a busy
        // machine.
        properties.put(ProducerConfig.LINGER_MS_CONFIG, timeoutMs / 4);
        properties.put(ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, requestMs);
        properties.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, timeoutMs);
        properties.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, timeoutMs);
        return properties;
    }

    /** Returns each value's name in events and its bytes. The suffix repeats, so that the values are
     * compressible. */
    private static Map<String, byte[]> payloads(Arguments args, String codec) {
        Map<String, byte[]> payloads = new LinkedHashMap<>();
        if (args.has("values-hex")) {
            for (String hex : args.text("values-hex").split(",")) {
                payloads.put(hex, HexFormat.of().parseHex(hex));
            }
            return payloads;
        }
        String suffix = " and so on".repeat(12);
        String prefix = args.text("prefix", "value");
        for (int i = 0; i < args.number("count"); i++) {
            String name = prefix + "-" + codec + "-" + i + suffix;
            payloads.put(name, name.getBytes(StandardCharsets.UTF_8));
        }
        return payloads;
    }
}

package avouch.clients;

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Reads a topic and prints its records, with or without a group. */
final class Consume {
    private static final Duration POLL_TIMEOUT = Duration.ofMillis(100);

    /** Reads without a group. Without a count it reads to the current ends of the partitions. */
    static void withoutGroup(Arguments args) {
        try (var consumer = new KafkaConsumer<String, String>(properties(args))) {
            List<TopicPartition> partitions =
                    consumer.partitionsFor(args.text("topic")).stream()
                            .map(info -> new TopicPartition(info.topic(), info.partition()))
                            .filter(at -> isSelected(args, at))
                            .toList();
            consumer.assign(partitions);
            partitions.forEach(at -> consumer.seek(at, args.number("from", 0)));
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            Integer count = args.number("count");
            int seen = 0;
            while (count == null ? !hasReached(consumer, ends) : seen < count) {
                for (ConsumerRecord<String, String> record : consumer.poll(POLL_TIMEOUT)) {
                    if (count == null || seen < count) {
                        emit(record);
                        seen++;
                    }
                }
            }
        }
    }

    static void inGroup(Arguments args) {
        Properties properties = properties(args);
        properties.put(ConsumerConfig.GROUP_ID_CONFIG, args.text("group"));
        Integer count = args.number("count");
        try (var consumer = new KafkaConsumer<String, String>(properties)) {
            consumer.subscribe(List.of(args.text("topic")), new Assignments());
            for (int seen = 0; count == null || seen < count; ) {
                for (ConsumerRecord<String, String> record : consumer.poll(POLL_TIMEOUT)) {
                    if (count != null && seen == count) {
                        break;
                    }
                    emit(record);
                    var next = new OffsetAndMetadata(record.offset() + 1);
                    var at = new TopicPartition(record.topic(), record.partition());
                    consumer.commitSync(Map.of(at, next));
                    seen++;
                }
            }
        }
    }

    static void emit(ConsumerRecord<String, String> record) {
        new Event("record")
                .with("partition", record.partition())
                .with("offset", record.offset())
                .with("key", record.key())
                .with("value", record.value())
                .emit();
    }

    private static boolean isSelected(Arguments args, TopicPartition at) {
        return !args.has("partition") || at.partition() == args.number("partition");
    }

    private static boolean hasReached(
            KafkaConsumer<String, String> consumer, Map<TopicPartition, Long> ends) {
        return ends.entrySet().stream()
                .allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
    }

    private static Properties properties(Arguments args) {
        Properties properties = new Properties();
        properties.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, args.text("bootstrap"));
        properties.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class);
        properties.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class);
        properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
        properties.put(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, "6000");
        properties.put(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, "500");
        return properties;
    }

    /** Prints the complete assignment after each rebalance, including an empty one. */
    private static final class Assignments implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            List<Integer> indexes =
                    partitions.stream().map(TopicPartition::partition).sorted().toList();
            new Event("assigned").with("partitions", indexes).emit();
        }
    }
}

package avouch.clients;

import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;

/** The Java client as a producer, a consumer without a group, a group member, an admin. Commands and
 * events are those of ../python/wire.py; `example-producer` and `example-consumer` are the examples
 * of the requirements. */
public final class Main {
    public static void main(String[] words) throws Exception {
        Arguments args = new Arguments(words);
        switch (args.command) {
            case "produce" -> Produce.run(args);
            case "consume" -> Consume.withoutGroup(args);
            case "group" -> Consume.inGroup(args);
            case "create" -> create(args);
            case "load" -> Load.run(args);
            case "admin" -> AdminCalls.run(args);
            case "streams" -> Streams.run(args);
            case "types" -> Types.run(args);
            case "example-producer" -> KafkaProducerExample.run(args);
            case "example-consumer" -> KafkaConsumerExample.run(args);
            default -> throw new IllegalArgumentException(args.command);
        }
        new Event("done").emit();
    }

    private static void create(Arguments args) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args.text("bootstrap")))) {
            short replication = (short) args.number("replication", 1);
            NewTopic topic =
                    new NewTopic(args.text("topic"), args.number("partitions", 1), replication);
            admin.createTopics(List.of(topic)).all().get();
            new Event("created").emit();
        }
    }
}

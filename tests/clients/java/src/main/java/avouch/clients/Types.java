package avouch.clients;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.specific.SpecificDatumWriter;
import org.apache.avro.util.Utf8;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Produces a key and a value of each type to a topic that validates both. The data are those of
 * Avro's writer in the frame of Confluent's Java serializer, which is not in Maven Central: it writes
 * the bytes of a byte array without a length, and no frame for null. Prints one `output` event per
 * type: the datum in hexadecimal, or the error of the record. */
final class Types {
    private static final String RECORD =
            "{'type':'record','name':'R','fields':[{'name':'b','type':'bytes'},"
                    + "{'name':'s','type':{'type':'string','avro.java.string':'String'}}]}";
    private static final Pattern ID = Pattern.compile("\"id\":(\\d+)");
    private static final byte[] BYTES = {8, 1, -1};

    private record Case(String name, String schema, Object value) {
        Schema parsed() {
            return new Schema.Parser().parse(schema.replace('\'', '"'));
        }
    }

    private static List<Case> cases() {
        return List.of(
                new Case("null", "'null'", null),
                new Case("boolean", "'boolean'", true),
                new Case("int", "'int'", -1),
                new Case("long", "'long'", 1L << 40),
                new Case("float", "'float'", 1.5f),
                new Case("double", "'double'", 1.5),
                new Case("bytes", "'bytes'", BYTES),
                new Case("empty bytes", "'bytes'", new byte[0]),
                new Case("bytes with attributes", "{'type':'bytes','owner':'shop'}", BYTES),
                new Case("string", "'string'", "h\u00e9"),
                new Case("Utf8", "'string'", new Utf8("h\u00e9")),
                new Case("Java string", "{'type':'string','avro.java.string':'String'}", "h\u00e9"),
                new Case("enum", "{'type':'enum','name':'E','symbols':['A','B']}", "B"),
                new Case("array", "{'type':'array','items':'string'}", List.of("a")),
                new Case("map", "{'type':'map','values':'bytes','avro.java.string':'String'}",
                        Map.of("k", ByteBuffer.wrap(BYTES, 2, 1))),
                new Case("union", "['null','string']", "a"),
                new Case("record", RECORD, null));
    }

    static void run(Arguments args) throws Exception {
        String bootstrap = args.text("bootstrap");
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "linger.ms", 0);
        ByteArraySerializer bytes = new ByteArraySerializer();
        HttpClient http = HttpClient.newHttpClient();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
                Producer<byte[], byte[]> producer = new KafkaProducer<>(settings, bytes, bytes)) {
            int number = 0;
            for (Case type : cases()) {
                String topic = "case-" + number++;
                String validation = "payload";
                admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1).configs(Map.of(
                        "avouch.key.validation", validation,
                        "avouch.value.validation", validation)))).all().get();
                byte[] datum = datum(type);
                byte[] key = framed(register(http, args.text("url"), topic + "-key", type), datum);
                byte[] value =
                        framed(register(http, args.text("url"), topic + "-value", type), datum);
                String result = datum == null ? "null" : HexFormat.of().formatHex(datum);
                try {
                    producer.send(new ProducerRecord<>(topic, key, value)).get();
                } catch (ExecutionException error) {
                    result = error.getCause().getMessage();
                }
                new Event("output").with("call", type.name()).with("result", result).emit();
            }
        }
    }

    private static byte[] datum(Case type) throws IOException {
        Schema schema = type.parsed();
        Object value = type.value();
        if (value instanceof byte[] bytes) {
            return bytes;
        }
        switch (schema.getType()) {
            case NULL -> {
                return null;
            }
            case ENUM -> value = new GenericData.EnumSymbol(schema, value);
            case RECORD -> {
                GenericData.Record record = new GenericData.Record(schema);
                record.put("b", ByteBuffer.wrap(BYTES));
                record.put("s", "a");
                value = record;
            }
            default -> {}
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(out, null);
        new SpecificDatumWriter<Object>(schema).write(value, encoder);
        return out.toByteArray();
    }

    private static byte[] framed(int id, byte[] datum) {
        if (datum == null) {
            return null;
        }
        return ByteBuffer.allocate(5 + datum.length).put((byte) 0).putInt(id).put(datum).array();
    }

    private static int register(HttpClient http, String url, String subject, Case type)
            throws Exception {
        String text = type.parsed().toString().replace("\\", "\\\\").replace("\"", "\\\"");
        HttpRequest request = HttpRequest.newBuilder(
                        URI.create(url + "/subjects/" + subject + "/versions"))
                .header("Content-Type", "application/vnd.schemaregistry.v1+json")
                .POST(HttpRequest.BodyPublishers.ofString("{\"schema\":\"" + text + "\"}"))
                .build();
        String response = http.send(request, BodyHandlers.ofString()).body();
        Matcher id = ID.matcher(response);
        if (!id.find()) {
            throw new IllegalStateException(response);
        }
        return Integer.parseInt(id.group(1));
    }
}

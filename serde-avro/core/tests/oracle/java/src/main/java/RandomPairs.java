import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.NameValidator;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;

/** Compares random pairs with Java: strings, verdicts, findings, and decoding of compatible data. */
public final class RandomPairs {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static int pairs;
  private static int incompatible;
  private static int data;
  private static int differences;

  public static void main(String[] arguments) throws Exception {
    for (String line : Files.readAllLines(Path.of(System.getenv("ORACLE_PAIRS")))) {
      compare(JSON.readTree(line));
    }
    System.out.printf(
        "Java: %d pairs, %d of them incompatible, %d data decoded, %d differences%n",
        pairs, incompatible, data, differences);
    System.exit(differences == 0 ? 0 : 1);
  }

  private static void compare(JsonNode row) {
    pairs++;
    Schema reader = compareStrings(row.get("reader"));
    Schema writer = compareStrings(row.get("writer"));
    JsonNode findings = findings(reader, writer);
    if (!findings.equals(row.get("findings"))) {
      differ(row, "findings", findings.toString());
    }
    if (!findings.isArray() || !findings.isEmpty()) {
      incompatible++;
      return;
    }
    for (JsonNode hex : row.get("data")) {
      decode(row, writer, reader, HexFormat.of().parseHex(hex.textValue()));
    }
  }

  private static Schema compareStrings(JsonNode strings) {
    Schema.Parser parser = new Schema.Parser(NameValidator.STRICT_VALIDATOR);
    parser.setValidateDefaults(true);
    Schema schema = parser.parse(strings.get("text").textValue());
    same(strings, "canonical", schema.toString());
    same(strings, "pcf", SchemaNormalization.toParsingForm(schema));
    same(strings, "rabin", Long.toHexString(SchemaNormalization.parsingFingerprint64(schema)));
    return schema;
  }

  private static JsonNode findings(Schema reader, Schema writer) {
    ArrayNode found = JSON.createArrayNode();
    try {
      SchemaCompatibility.checkReaderWriterCompatibility(reader, writer)
          .getResult()
          .getIncompatibilities()
          .forEach(
              one ->
                  found
                      .addObject()
                      .put("type", one.getType().toString())
                      .put("path", one.getLocation())
                      .put("info", one.getMessage()));
      return found;
    } catch (AvroRuntimeException error) {
      return JSON.getNodeFactory().textNode(error.getMessage());
    }
  }

  private static void decode(JsonNode row, Schema writer, Schema reader, byte[] datum) {
    data++;
    // Followed by bytes that are not read, as in Resolutions.
    byte[] padded = Arrays.copyOf(datum, datum.length + 4096);
    BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(padded, null);
    try {
      new GenericDatumReader<Object>(writer, reader).read(null, decoder);
    } catch (Exception error) {
      differ(row, "datum " + HexFormat.of().formatHex(datum), error.toString());
    }
  }

  private static void same(JsonNode row, String key, String java) {
    if (!row.get(key).textValue().equals(java)) {
      differ(row, key, java);
    }
  }

  private static void differ(JsonNode row, String what, String java) {
    differences++;
    System.out.printf("%s: Java has %s%n  in %s%n", what, java, row);
  }
}

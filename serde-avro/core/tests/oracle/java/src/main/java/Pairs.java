import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;

/** Adds the verdict and the findings of Java's compatibility check to each pair of schemas. */
public final class Pairs {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] arguments) throws Exception {
    Path file = Path.of(arguments[0], "compatibility-more.jsonl");
    List<String> rows = new ArrayList<>();
    for (String line : Files.readAllLines(file)) {
      JsonNode row = JSON.readTree(line);
      rows.add(JSON.writeValueAsString(evaluate(row.get("reader"), row.get("writer"))));
    }
    Files.write(file, rows);
  }

  private static ObjectNode evaluate(JsonNode reader, JsonNode writer) throws Exception {
    ObjectNode row = JSON.createObjectNode();
    row.set("reader", reader);
    row.set("writer", writer);
    ArrayNode found = JSON.createArrayNode();
    try {
      SchemaCompatibility.checkReaderWriterCompatibility(schema(reader), schema(writer))
          .getResult()
          .getIncompatibilities()
          .forEach(
              one ->
                  found
                      .addObject()
                      .put("type", one.getType().toString())
                      .put("path", one.getLocation())
                      .put("info", one.getMessage()));
    } catch (AvroRuntimeException error) {
      return row.put("verdict", "error").put("message", error.getMessage());
    }
    row.put("verdict", found.isEmpty() ? "compatible" : "incompatible");
    row.set("incompatibilities", found);
    return row;
  }

  private static Schema schema(JsonNode text) throws Exception {
    return new Schema.Parser().parse(JSON.writeValueAsString(text));
  }
}

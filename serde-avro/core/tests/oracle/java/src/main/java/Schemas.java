import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.NameValidator;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;

/** Adds the result of Java's strict parser to each schema. */
public final class Schemas {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] arguments) throws Exception {
    Path file = Path.of(arguments[0], "canonical-corners.jsonl");
    List<String> rows = new ArrayList<>();
    for (String line : Files.readAllLines(file)) {
      rows.add(JSON.writeValueAsString(evaluate(JSON.readTree(line).get("input").textValue())));
    }
    Files.write(file, rows);
  }

  private static ObjectNode evaluate(String input) {
    ObjectNode row = JSON.createObjectNode().put("input", input);
    try {
      Schema.Parser parser = new Schema.Parser(NameValidator.STRICT_VALIDATOR);
      parser.setValidateDefaults(true);
      Schema schema = parser.parse(input);
      return row.put("valid", true)
          .put("canonical", encodable(schema.toString()))
          .put("pcf", SchemaNormalization.toParsingForm(schema))
          .put("rabin", Long.toHexString(SchemaNormalization.parsingFingerprint64(schema)));
    } catch (RuntimeException error) {
      return row.put("valid", false);
    }
  }

  /** Returns the string with unpaired surrogates replaced, as by an encoder. */
  private static String encodable(String text) {
    return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8);
  }
}

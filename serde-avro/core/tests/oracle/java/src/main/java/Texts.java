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

/** Adds to each schema text what Java's strict parser makes of it. */
public final class Texts {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] arguments) throws Exception {
    Path file = Path.of(arguments[0], "canonical-corners.jsonl");
    List<String> rows = new ArrayList<>();
    for (String line : Files.readAllLines(file)) {
      rows.add(JSON.writeValueAsString(judge(JSON.readTree(line).get("input").textValue())));
    }
    Files.write(file, rows);
  }

  private static ObjectNode judge(String input) {
    ObjectNode row = JSON.createObjectNode().put("input", input);
    try {
      Schema.Parser parser = new Schema.Parser(NameValidator.STRICT_VALIDATOR);
      parser.setValidateDefaults(true);
      Schema schema = parser.parse(input);
      return row.put("valid", true)
          .put("canonical", encodable(schema.toString()))
          .put("pcf", SchemaNormalization.toParsingForm(schema))
          .put("rabin", Long.toHexString(SchemaNormalization.parsingFingerprint64(schema)));
    } catch (RuntimeException refused) {
      return row.put("valid", false);
    }
  }

  /** The text with what UTF-8 cannot hold replaced, as on its way over the wire. */
  private static String encodable(String text) {
    return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8);
  }
}

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;

/** Adds Java's verdict to each row: accept if a generic reader decodes the datum to its last byte. */
public final class Verdicts {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] arguments) throws Exception {
    Path folder = Path.of(arguments[0], "verdicts");
    List<GenericDatumReader<Object>> readers = new ArrayList<>();
    for (String line : Files.readAllLines(folder.resolve("schemas.jsonl"))) {
      String schema = JSON.writeValueAsString(JSON.readTree(line).get("schema"));
      readers.add(new GenericDatumReader<>(new Schema.Parser().parse(schema)));
    }
    List<String> rows = new ArrayList<>();
    for (String line : Files.readAllLines(folder.resolve("data.jsonl"))) {
      ObjectNode row = (ObjectNode) JSON.readTree(line);
      byte[] datum = HexFormat.of().parseHex(row.get("datum").textValue());
      boolean accepted = accepts(readers.get(row.get("schema").intValue()), datum);
      row.put("java", accepted ? "accept" : "reject");
      rows.add(JSON.writeValueAsString(row));
    }
    Files.write(folder.resolve("data.jsonl"), rows);
  }

  private static boolean accepts(GenericDatumReader<Object> reader, byte[] datum) {
    BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(datum, null);
    try {
      reader.read(null, decoder);
      return decoder.isEnd();
    } catch (Exception | StackOverflowError | OutOfMemoryError error) {
      return false;
    }
  }
}

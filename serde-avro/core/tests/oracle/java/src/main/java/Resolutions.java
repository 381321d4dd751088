import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import org.apache.avro.NameValidator;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/**
 * Compares values that Java resolves with those that it reads from the resolved data.
 *
 * <p>Both values are written again before the comparison, so that varints and blocks make no
 * difference. Differences that docs/resolution.md documents are counted by its rows.
 */
public final class Resolutions {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Map<String, Integer> DOCUMENTED = new TreeMap<>();
  private static final int PADDING_BYTES = 4096;
  private static int data;
  private static int read;
  private static int differences;

  public static void main(String[] arguments) throws Exception {
    Path rows = Path.of(System.getenv("ORACLE_RESOLUTIONS"));
    try (BufferedReader lines = Files.newBufferedReader(rows)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        compare(JSON.readTree(line));
      }
    }
    System.out.printf(
        "Java: %d data resolved, %d read, %d differences, documented: %s%n",
        data, read, differences, DOCUMENTED);
    System.exit(differences == 0 ? 0 : 1);
  }

  private static void compare(JsonNode row) {
    Schema writer = parse(row.get("writer"));
    Schema reader = parse(row.get("reader"));
    GenericDatumReader<Object> resolving = new GenericDatumReader<>(writer, reader);
    GenericDatumReader<Object> plain = new GenericDatumReader<>(reader);
    GenericDatumWriter<Object> output = new GenericDatumWriter<>(reader);
    for (JsonNode datum : row.get("data")) {
      data++;
      byte[] bytes = HexFormat.of().parseHex(datum.get("datum").textValue());
      String ours = datum.get("java").textValue();
      byte[] expected = null;
      String error = "";
      try {
        expected = rewrite(resolving, output, bytes);
      } catch (Exception thrown) {
        error = thrown.toString();
      }
      if (ours.startsWith("!")) {
        if (expected != null) {
          count(documentedError(ours), row, datum, "Java reads it");
        }
        continue;
      }
      read++;
      if (expected == null) {
        count(documentedException(error), row, datum, error);
        continue;
      }
      try {
        byte[] found = rewrite(plain, output, HexFormat.of().parseHex(ours));
        if (!Arrays.equals(expected, found)) {
          count(null, row, datum, "Java has " + HexFormat.of().formatHex(expected));
        }
      } catch (Exception thrown) {
        count(null, row, datum, "the resolved datum: " + thrown);
      }
    }
  }

  private static byte[] rewrite(
      GenericDatumReader<Object> reader, GenericDatumWriter<Object> writer, byte[] datum)
      throws Exception {
    // Java 1.12.2 rejects arrays whose items would exceed the datum in the reader's layout, so the
    // datum is followed by bytes that are not read (findings/java_avro_promoted_array.sh).
    byte[] padded = Arrays.copyOf(datum, datum.length + PADDING_BYTES);
    Object value = reader.read(null, DecoderFactory.get().binaryDecoder(padded, null));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
    writer.write(value, encoder);
    encoder.flush();
    return out.toByteArray();
  }

  /** Returns the row of a datum that only Java reads, or null. */
  private static String documentedError(String error) {
    if (error.contains("which has another name") || error.contains("union reads record")) {
      return "record names";
    }
    return error.contains("decimals of different scales") ? "decimal scales" : null;
  }

  /** Returns the row of a datum that Java does not read, or null. */
  private static String documentedException(String error) {
    return null;
  }

  private static void count(String documented, JsonNode row, JsonNode datum, String what) {
    if (documented != null) {
      DOCUMENTED.merge(documented, 1, Integer::sum);
      return;
    }
    differences++;
    if (differences <= 20) {
      System.out.printf(
          "%s%n  datum %s%n  writer %s%n  reader %s%n",
          what, datum, row.get("writer").textValue(), row.get("reader").textValue());
    }
  }

  private static Schema parse(JsonNode text) {
    return new Schema.Parser(NameValidator.STRICT_VALIDATOR).parse(text.textValue());
  }
}

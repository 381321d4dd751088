import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/**
 * Reads the deepest data that avouch-avro accepts by default, and parses its deepest schemas, on a
 * thread with the default stack of the JVM on 64-bit Linux.
 */
public final class Depth {
  /** The default depth of a datum, {@code Budget::depth}. */
  private static final int DATUM_DEPTH = 1_000;

  /** The default depth of types, {@code Limits::depth}. */
  private static final int SCHEMA_DEPTH = 256;

  /** The default of -Xss, which this program is started with another value of. */
  private static final long DEFAULT_STACK_BYTES = 1 << 20;

  private static final String LONG_LIST =
      "{'type':'record','name':'LongList','fields':[{'name':'value','type':'long'},"
          + "{'name':'next','type':['null','LongList']}]}";
  private static final String TREE =
      "{'type':'record','name':'Tree','fields':[{'name':'c','type':['null',{'type':'array',"
          + "'items':['null',{'type':'map','values':['null','Tree']}]}]}]}";

  public static void main(String[] arguments) throws Exception {
    onDefaultStack(Depth::readLongList);
    onDefaultStack(Depth::readTree);
    onDefaultStack(Depth::parseDeepSchemas);
    System.out.printf("Java: read data of depth %d, schemas of depth %d%n", DATUM_DEPTH, SCHEMA_DEPTH);
  }

  private interface Task {
    void run() throws IOException;
  }

  private static void onDefaultStack(Task task) throws Exception {
    AtomicReference<Throwable> failure = new AtomicReference<>();
    Runnable guarded =
        () -> {
          try {
            task.run();
          } catch (Throwable thrown) {
            failure.set(thrown);
          }
        };
    Thread thread = new Thread(null, guarded, "default-stack", DEFAULT_STACK_BYTES);
    thread.start();
    thread.join();
    if (failure.get() != null) {
      throw new IllegalStateException("beyond Java's defaults", failure.get());
    }
  }

  private static void readLongList() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(bytes, null);
    for (int node = 1; node <= DATUM_DEPTH; node++) {
      encoder.writeLong(node);
      encoder.writeIndex(node < DATUM_DEPTH ? 1 : 0);
    }
    encoder.flush();
    read(LONG_LIST, bytes.toByteArray());
  }

  /** Records, arrays and maps in turn, which take the most stack frames a level. */
  private static void readTree() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(bytes, null);
    int level = 1;
    while (level + 3 <= DATUM_DEPTH) {
      encoder.writeIndex(1);
      encoder.writeArrayStart();
      encoder.setItemCount(1);
      encoder.startItem();
      encoder.writeIndex(1);
      encoder.writeMapStart();
      encoder.setItemCount(1);
      encoder.startItem();
      encoder.writeString("k");
      encoder.writeIndex(1);
      level += 3;
    }
    encoder.writeIndex(0);
    for (int closed = 1; closed < level; closed += 3) {
      encoder.writeMapEnd();
      encoder.writeArrayEnd();
    }
    encoder.flush();
    read(TREE, bytes.toByteArray());
  }

  private static void read(String source, byte[] datum) throws IOException {
    Schema schema = new Schema.Parser().parse(source.replace('\'', '"'));
    BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(datum, null);
    new GenericDatumReader<>(schema).read(null, decoder);
    if (!decoder.isEnd()) {
      throw new IOException("bytes follow the datum");
    }
  }

  private static void parseDeepSchemas() {
    StringBuilder records = new StringBuilder();
    for (int level = 0; level < SCHEMA_DEPTH; level++) {
      records.append("{'type':'record','name':'R").append(level);
      records.append("','fields':[{'name':'f','type':");
    }
    records.append("'int'").append("}]}".repeat(SCHEMA_DEPTH));
    parse(records.toString());
    parse("{'type':'int','x':" + "[".repeat(999) + "]".repeat(999) + "}");
  }

  private static void parse(String source) {
    Schema schema = new Schema.Parser().parse(source.replace('\'', '"'));
    new Schema.Parser().parse(schema.toString());
  }
}

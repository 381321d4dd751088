import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;

/** How long Java takes to parse and compare the shapes of benches/model.rs: medians, warmed up. */
public final class Bench {
  private static final String[] SHAPES = {
    "record of 100 fields", "record of 5,000 fields", "30 records deep"
  };
  private static final int RUNS_MAX = 2001;
  private static final long TIME_MAX_NS = 3_000_000_000L;

  public static void main(String[] arguments) throws Exception {
    for (int shape = 0; shape < SHAPES.length; shape++) {
      String oldText = read(shape, "old");
      String newText = read(shape, "new");
      report(SHAPES[shape], "parse", () -> new Schema.Parser().parse(oldText));
      Schema writer = new Schema.Parser().parse(oldText);
      Schema reader = new Schema.Parser().parse(newText);
      report(
          SHAPES[shape],
          "compare",
          () -> SchemaCompatibility.checkReaderWriterCompatibility(reader, writer));
    }
  }

  private static String read(int shape, String side) throws Exception {
    return Files.readString(Path.of(System.getenv("BENCH_SHAPES"), shape + "-" + side + ".avsc"));
  }

  private static void report(String shape, String operation, Runnable run) {
    long warm = System.nanoTime();
    while (System.nanoTime() - warm < TIME_MAX_NS) {
      run.run();
    }
    long[] times = new long[RUNS_MAX];
    int runs = 0;
    long start = System.nanoTime();
    while (runs < RUNS_MAX && System.nanoTime() - start < TIME_MAX_NS) {
      long before = System.nanoTime();
      run.run();
      times[runs++] = System.nanoTime() - before;
    }
    Arrays.sort(times, 0, runs);
    System.out.printf(
        "{\"shape\":\"%s\",\"operation\":\"%s\",\"implementation\":\"Java\",\"median_us\":%.1f,\"runs\":%d}%n",
        shape, operation, times[runs / 2] / 1e3, runs);
  }
}

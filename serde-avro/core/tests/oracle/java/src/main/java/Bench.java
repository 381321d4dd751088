import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;

/**
 * Measures how long Java takes to parse and compare the schemas of a folder. For each request on
 * standard input, such as {@code parse 0}, it prints the CPU time of one run in ns, averaged over a
 * round.
 */
public final class Bench {
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
  private static final long WARM_NS = 3_000_000_000L;
  private static final long ROUND_NS = 50_000_000L;
  /** Runs between two reads of the clock, which takes a microsecond. */
  private static final int RUNS_PER_READ = 16;

  public static void main(String[] arguments) throws Exception {
    Path folder = Path.of(arguments[0]);
    Map<String, Runnable> warm = new HashMap<>();
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
    for (String request; (request = requests.readLine()) != null; ) {
      Runnable run = warm.get(request);
      if (run == null) {
        run = work(folder, request);
        round(run, WARM_NS);
        warm.put(request, run);
      }
      System.out.println(round(run, ROUND_NS));
    }
  }

  private static Runnable work(Path folder, String request) throws Exception {
    String[] words = request.split(" ");
    String oldText = Files.readString(folder.resolve(words[1] + "-old.avsc"));
    String newText = Files.readString(folder.resolve(words[1] + "-new.avsc"));
    if (words[0].equals("parse")) {
      return () -> new Schema.Parser().parse(oldText);
    }
    Schema writer = new Schema.Parser().parse(oldText);
    Schema reader = new Schema.Parser().parse(newText);
    return () -> SchemaCompatibility.checkReaderWriterCompatibility(reader, writer);
  }

  private static double round(Runnable run, long minNs) {
    long start = THREADS.getCurrentThreadCpuTime();
    long runs = 0;
    long spent = 0;
    while (spent < minNs) {
      for (int index = 0; index < RUNS_PER_READ; index++) {
        run.run();
      }
      runs += RUNS_PER_READ;
      spent = THREADS.getCurrentThreadCpuTime() - start;
    }
    return (double) spent / runs;
  }
}

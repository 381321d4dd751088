package avouch.kafka;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;

/** Runs several Kafka command-line tools in one process, because starting a Java process per tool
 * takes longer than the tool. Each line of stdin is a command: class name and arguments, separated by
 * tabs. For each command it prints one {@code output} event with the exit {@code status} and the
 * {@code output} of the tool, including stderr. */
public final class Tools {
    private static final PrintStream EVENTS = System.out;
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] none) throws IOException {
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String[] words = line.split("\t");
            emit(run(words[0], Arrays.copyOfRange(words, 1, words.length)));
        }
        // Some tools leave non-daemon threads running.
        Runtime.getRuntime().halt(0);
    }

    private static Map<String, Object> run(String name, String[] arguments) {
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        PrintStream out = new PrintStream(printed, true);
        Map<String, Object> result = new LinkedHashMap<>();
        // The first exit counts: a tool can catch the exception thrown here and exit again.
        Exit.Procedure end = (status, message) -> {
            complete(result, status, printed);
            throw new Exited();
        };
        Exit.setExitProcedure(end);
        Exit.setHaltProcedure(end);
        System.setOut(out);
        System.setErr(out);
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
            complete(result, 0, printed);
        } catch (ReflectiveOperationException failed) {
            failed.printStackTrace(out);
            complete(result, 1, printed);
        }
        return result;
    }

    private static void complete(
            Map<String, Object> result, int status, ByteArrayOutputStream printed) {
        result.putIfAbsent("status", status);
        result.putIfAbsent("output", printed.toString(StandardCharsets.UTF_8));
    }

    private static void emit(Map<String, Object> result) throws IOException {
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("event", "output");
        event.putAll(result);
        EVENTS.println(JSON.writeValueAsString(event));
    }

    /** Thrown when a tool exits the process. */
    private static final class Exited extends Error {}
}

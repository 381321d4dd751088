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

/** Runs Kafka's command-line tools one after the other in this one process, because starting a
 * machine for each takes longer than its work. A line of stdin is a command: class name and
 * arguments, separated by tabs. For each, one event on stdout: {@code told} with its exit
 * {@code status} and what it {@code printed}, errors included. */
public final class Tools {
    private static final PrintStream EVENTS = System.out;
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] none) throws IOException {
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String[] words = line.split("\t");
            say(run(words[0], Arrays.copyOfRange(words, 1, words.length)));
        }
        // Some tools leave threads behind.
        Runtime.getRuntime().halt(0);
    }

    private static Map<String, Object> run(String name, String[] arguments) {
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        PrintStream out = new PrintStream(printed, true);
        Map<String, Object> told = new LinkedHashMap<>();
        // The first exit counts: a tool may catch the exception that stands for it, and exit again.
        Exit.Procedure end = (status, message) -> {
            tell(told, status, printed);
            throw new Ended();
        };
        Exit.setExitProcedure(end);
        Exit.setHaltProcedure(end);
        System.setOut(out);
        System.setErr(out);
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
            tell(told, 0, printed);
        } catch (ReflectiveOperationException failed) {
            failed.printStackTrace(out);
            tell(told, 1, printed);
        }
        return told;
    }

    private static void tell(Map<String, Object> told, int status, ByteArrayOutputStream printed) {
        told.putIfAbsent("status", status);
        told.putIfAbsent("printed", printed.toString(StandardCharsets.UTF_8));
    }

    private static void say(Map<String, Object> told) throws IOException {
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("event", "told");
        event.putAll(told);
        EVENTS.println(JSON.writeValueAsString(event));
    }

    /** A tool asked for the end of the process. */
    private static final class Ended extends Error {}
}

package avouch.clients;

import java.util.HashMap;
import java.util.Map;

/** The command line: a command, then {@code --name value} pairs and flags without value. */
final class Arguments {
    final String command;
    private final Map<String, String> values = new HashMap<>();

    Arguments(String[] words) {
        command = words[0];
        for (int i = 1; i < words.length; i++) {
            boolean hasValue = i + 1 < words.length && !words[i + 1].startsWith("--");
            values.put(words[i].substring(2), hasValue ? words[++i] : "");
        }
    }

    boolean has(String name) {
        return values.containsKey(name);
    }

    /** Returns the value of {@code name}, or null. */
    String text(String name) {
        return values.get(name);
    }

    String text(String name, String fallback) {
        return values.getOrDefault(name, fallback);
    }

    int number(String name, int fallback) {
        return has(name) ? Integer.parseInt(text(name)) : fallback;
    }

    /** Returns the value of {@code name}, or null. */
    Integer number(String name) {
        return has(name) ? Integer.valueOf(text(name)) : null;
    }
}

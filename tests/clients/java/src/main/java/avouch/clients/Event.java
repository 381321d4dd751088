package avouch.clients;

import java.util.Collection;

/** A JSON line on stdout, flushed immediately: the test waits for it. */
final class Event {
    private final StringBuilder line = new StringBuilder();

    Event(String name) {
        line.append("{\"event\":");
        string(name);
    }

    Event with(String name, String value) {
        name(name);
        if (value == null) {
            line.append("null");
        } else {
            string(value);
        }
        return this;
    }

    Event with(String name, long value) {
        name(name);
        line.append(value);
        return this;
    }

    Event with(String name, Collection<Integer> values) {
        name(name);
        line.append(values);
        return this;
    }

    void emit() {
        line.append("}\n");
        synchronized (System.out) {
            System.out.append(line);
            System.out.flush();
        }
    }

    private void name(String name) {
        line.append(',');
        string(name);
        line.append(':');
    }

    private void string(String text) {
        line.append('"');
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                line.append('\\').append(c);
            } else if (c < ' ' || c > '~') {
                line.append(String.format("\\u%04x", (int) c));
            } else {
                line.append(c);
            }
        }
        line.append('"');
    }
}

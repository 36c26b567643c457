// Java's HttpClient as a plugin would use it: carries out the calls that stdin asks for (see asked.py).
// As it comes, it offers to go on in HTTP/2 (Upgrade: h2c) with its first request.
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;

public class Client {
    static final HttpClient HTTP = HttpClient.newHttpClient();

    public static void main(String[] args) throws IOException, InterruptedException {
        var asked = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = asked.readLine()) != null; ) {
            String said;
            try {
                said = call(line.split("\t"));
            } catch (IOException | IllegalArgumentException error) {
                said = "0\terror: " + error;
            }
            System.out.println(said);
        }
    }

    static String call(String[] words) throws IOException, InterruptedException {
        var request = HttpRequest.newBuilder(URI.create(words[1]))
            .method(words[0], body(words[2]))
            .timeout(Duration.ofSeconds(30));
        for (int at = 4; at < words.length; at++) {
            var field = words[at].split(": ", 2);
            request.header(field[0], field[1]);
        }
        var answer = HTTP.send(request.build(), BodyHandlers.ofFile(Path.of(words[3])));
        var said = new StringBuilder(String.valueOf(answer.statusCode()));
        answer.headers().map().forEach(
            (name, values) -> values.forEach(value -> said.append("\t" + name + ": " + value)));
        return said.toString();
    }

    // A file has a length; a stream has none and goes out in chunks.
    static BodyPublisher body(String text) throws IOException {
        var parts = text.split(":", 2);
        return switch (parts[0]) {
            case "none" -> BodyPublishers.noBody();
            case "sized" -> BodyPublishers.ofFile(Path.of(parts[1]));
            default -> BodyPublishers.ofInputStream(() -> opened(parts[1]));
        };
    }

    static FileInputStream opened(String file) {
        try {
            return new FileInputStream(file);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}

// A BioT plugin in Java: keeps a patient's age right. No login, no token, no secret: the sidecar has them.
// One file for Java 17 and no library: `java Plugin.java`. Real plugins read JSON with Jackson instead of patterns.

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.time.Period;
import java.util.regex.Pattern;

public class Plugin {
  static final String SIDECAR = System.getenv().getOrDefault("SIDECAR_URL", "http://127.0.0.1:8787");
  static final String[] LISTEN = System.getenv().getOrDefault("PLUGIN_LISTEN", "127.0.0.1:8080").split(":");
  static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  record Reply(int status, String body) {}

  /** One call of the BioT API. */
  static HttpResponse<String> biot(String method, String path, String trace, String body)
      throws IOException, InterruptedException {
    var publisher = body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body);
    var request =
        HttpRequest.newBuilder(URI.create(SIDECAR + path))
            .method(method, publisher)
            .header("Content-Type", "application/json");
    if (trace != null) request.header("Traceparent", trace); // the event's, if it has one
    return CLIENT.send(request.build(), BodyHandlers.ofString());
  }

  /** BioT says that a patient was changed: is the age still right? */
  static Reply perform(String event, String trace) throws IOException, InterruptedException {
    var id = field(event, "\"entity\"\\s*:\\s*\\{.*?\"_id\"\\s*:\\s*\"([^\"]+)\"");
    var path = "/organization/v1/users/patients/" + id;
    var patient = biot("GET", path, trace, null);
    if (patient.statusCode() >= 400) return refused(patient);
    var born = LocalDate.parse(field(patient.body(), "\"_dateOfBirth\"\\s*:\\s*\"([^\"]+)\""));
    var age = Period.between(born, LocalDate.now()).getYears();
    var changed = !field(patient.body(), "\"age\"\\s*:\\s*(\\d+)").equals(String.valueOf(age));
    if (changed) { // else our own change would call us again, for ever
      var update = biot("PATCH", path, trace, "{\"age\": %d}".formatted(age));
      if (update.statusCode() >= 400) return refused(update);
    }
    return new Reply(200, "{\"patient\": \"%s\", \"age\": %d, \"changed\": %b}".formatted(id, age, changed));
  }

  /** BioT's error or the sidecar's: both have BioT's shape. */
  static Reply refused(HttpResponse<String> answer) {
    return new Reply(answer.statusCode(), answer.body());
  }

  static String field(String json, String pattern) {
    var found = Pattern.compile(pattern, Pattern.DOTALL).matcher(json);
    return found.find() ? found.group(1) : "";
  }

  static void serve(HttpExchange exchange) throws IOException {
    var event = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    Reply reply;
    try {
      reply = perform(event, exchange.getRequestHeaders().getFirst("traceparent"));
    } catch (Exception error) {
      reply = new Reply(500, "{\"code\": \"PLUGIN_ERROR\", \"message\": \"%s\"}".formatted(error.getClass()));
    }
    var body = reply.body().getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("Content-Type", "application/json");
    exchange.sendResponseHeaders(reply.status(), body.length);
    exchange.getResponseBody().write(body);
    exchange.close();
  }

  public static void main(String[] args) throws IOException {
    var server = HttpServer.create(new InetSocketAddress(LISTEN[0], Integer.parseInt(LISTEN[1])), 0);
    server.createContext("/", Plugin::serve);
    server.start();
    System.out.printf("plugin on %s:%d, BioT at %s%n", LISTEN[0], server.getAddress().getPort(), SIDECAR);
  }
}

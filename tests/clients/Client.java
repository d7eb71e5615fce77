// SPDX-License-Identifier: MIT

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.ProxySelector;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A labelled client in Java: HttpClient and HttpURLConnection.  cases.py says
 * what each manner means and how a client is driven.  Proxy and trust store
 * are Java's own properties, as JAVA_TOOL_OPTIONS gives them.
 */
class Client {
    interface Manner {
        Outcome fetch(String url) throws Exception;
    }

    record Outcome(int status, long read) {
    }

    static final List<Object> held = new ArrayList<>();
    static String tags;

    static final HttpClient httpClient = HttpClient.newBuilder()
        .proxy(ProxySelector.getDefault()).build();

    static final Map<String, Manner> manners = Map.of(
        "http_client_drain", Client::httpClientDrain,
        "http_client_leave", Client::httpClientLeave,
        "url_connection_drain", Client::urlConnectionDrain,
        "url_connection_leave", Client::urlConnectionLeave);

    static HttpRequest request(String url) {
        return HttpRequest.newBuilder(URI.create(url))
            .header("Leakproxy-Tag", tags).build();
    }

    static Outcome httpClientDrain(String url) throws Exception {
        var response = httpClient.send(request(url),
            BodyHandlers.ofByteArray());
        return new Outcome(response.statusCode(), response.body().length);
    }

    static Outcome httpClientLeave(String url) throws Exception {
        var response = httpClient.send(request(url),
            BodyHandlers.ofInputStream());
        held.add(response);
        return new Outcome(response.statusCode(), 0);
    }

    static HttpURLConnection open(String url) throws IOException {
        var connection = (HttpURLConnection) new URL(url).openConnection();
        connection.setRequestProperty("Leakproxy-Tag", tags);
        return connection;
    }

    static Outcome urlConnectionDrain(String url) throws IOException {
        var connection = open(url);
        try (InputStream body = connection.getInputStream()) {
            long read = body.readAllBytes().length;
            return new Outcome(connection.getResponseCode(), read);
        }
    }

    static Outcome urlConnectionLeave(String url) throws IOException {
        var connection = open(url);
        held.add(connection);
        return new Outcome(connection.getResponseCode(), 0);
    }

    static String quote(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "'")
            .replace("\n", " ") + '"';
    }

    static String take(Manner manner, String url, int step) {
        try {
            Outcome outcome = manner.fetch(url);
            return String.format("{\"step\":%d,\"status\":%d,\"read\":%d}",
                step, outcome.status, outcome.read);
        } catch (Exception error) {
            return String.format("{\"step\":%d,\"error\":%s}", step,
                quote(error.toString()));
        }
    }

    public static void main(String[] arguments) throws IOException {
        Manner manner = manners.get(arguments[0]);
        String target = arguments[1];
        tags = arguments[2];
        var lines = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("{\"ready\":true}");
        for (int step = 1; lines.readLine() != null; step++)
            System.out.println(take(manner, target + "?step=" + step, step));
        System.exit(0);
    }
}

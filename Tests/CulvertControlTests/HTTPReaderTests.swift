import Testing

@testable import CulvertControl

/// Requests of HTTP/1.1, as far as they are taken (RFC 9112).
@Suite struct HTTPReaderTests {
    private static func read(_ bytes: [UInt8], pieces: [Int] = []) throws(HTTPFault) -> [HTTPRequest] {
        var reader = HTTPReader()
        var requests: [HTTPRequest] = []
        var rest = bytes[...]
        var pieces = pieces[...]
        while !rest.isEmpty {
            let count = min(rest.count, pieces.popFirst() ?? rest.count)
            reader.take(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
            while let request = try reader.next() { requests.append(request) }
        }
        return requests
    }

    private static func fault(_ text: String) -> HTTPFault? {
        do throws(HTTPFault) {
            _ = try read(Array(text.utf8))
            return nil
        } catch { return error }
    }

    static let several =
        "GET /v1/tunnels?flows=yes&x HTTP/1.1\r\nHost: a\r\nX-Y:  b \r\n\r\n\r\n"
        + "POST /a%20b/%c3%a4 HTTP/1.1\nHost:\nContent-Length: 5\n\nhelloHEAD / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
        + "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"
    static let read = [
        HTTPRequest(
            method: "GET", path: "/v1/tunnels", query: ["flows": "yes", "x": ""], body: [], keepsAlive: true),
        HTTPRequest(method: "POST", path: "/a b/ä", query: [:], body: Array("hello".utf8), keepsAlive: true),
        HTTPRequest(method: "HEAD", path: "/", query: [:], body: [], keepsAlive: true),
        HTTPRequest(method: "GET", path: "/", query: [:], body: [], keepsAlive: false),
    ]

    @Test("one behind the other, whole, byte by byte, and in pieces of any length", arguments: 0..<50)
    func pieces(seed: UInt64) throws {
        var dice = Dice(seed: seed)
        let bytes = Array(Self.several.utf8)
        let pieces = (0..<bytes.count).map { _ in
            seed == 0 ? bytes.count : seed == 1 ? 1 : Int.random(in: 1...40, using: &dice)
        }
        #expect(try Self.read(bytes, pieces: pieces) == Self.read)
    }

    static let faults: [(String, HTTPStatus)] = [
        ("GET\r\n\r\n", .badRequest), ("GET / HTTP/1.1\r\n\r\n", .badRequest),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", .badRequest),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", .versionNotSupported),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", .badRequest),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", .badRequest), ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", .badRequest),
        ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", .badRequest),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", .badRequest),
        ("GET / HTTP/1.1\r\nHost: a\u{1}\r\n\r\n", .badRequest), ("GET /%g0 HTTP/1.1\r\nHost: a\r\n\r\n", .badRequest),
        ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", .badRequest), ("GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", .badRequest),
        ("GET /%f HTTP/1.1\r\nHost: a\r\n\r\n", .badRequest),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", .badRequest),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", .badRequest),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", .badRequest),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", .badRequest),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", .contentTooLarge),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", .notImplemented),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 8200))", .headTooLarge),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 8200))\r\n\r\n", .headTooLarge),
        ("GET / HTTP/1.1\r\nHost: a\r\n\(String(repeating: "A:\r\n", count: 70))\r\n", .headTooLarge),
    ]

    @Test("what is no request is told what is wrong, and never read in two ways", arguments: faults)
    func bad(text: String, status: HTTPStatus) { #expect(Self.fault(text)?.status == status, "\(text.prefix(60))") }

    @Test("an answer says its length, and HEAD has the head alone")
    func answers() {
        let response = HTTPResponse.text(.notFound, "no")
        #expect(
            String(decoding: response.bytes(hasBody: true, keepsAlive: false), as: UTF8.self)
                == "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n"
                + "Cache-Control: no-store\r\nConnection: close\r\n\r\nno\n")
        #expect(
            String(decoding: response.bytes(hasBody: false, keepsAlive: true), as: UTF8.self).hasSuffix(
                "no-store\r\n\r\n"))
        let refusal = String(decoding: HTTPResponse.onlyRead.bytes(hasBody: true, keepsAlive: true), as: UTF8.self)
        #expect(refusal.hasPrefix("HTTP/1.1 405 ") && refusal.contains("\r\nAllow: GET, HEAD\r\n"))
        for status in HTTPStatus.allCases { #expect(!status.phrase.isEmpty) }
    }
}

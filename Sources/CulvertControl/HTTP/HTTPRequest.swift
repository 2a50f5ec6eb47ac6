/// One request of HTTP/1.1 (RFC 9112), as far as a service of a few short routes needs it.
struct HTTPRequest: Hashable {
    var method: String
    /// With its leading slash, decoded (RFC 3986 §2.1).
    var path: String
    /// Behind the question mark, decoded; of a name that comes twice the last value counts.
    var query: [String: String]
    var body: [UInt8]
    /// The connection is for further requests too (RFC 9112 §9.3).
    var keepsAlive: Bool

    /// It changes nothing (RFC 9110 §9.2.1), as far as such methods are answered.
    var isRead: Bool { method == "GET" || method == "HEAD" }
}

/// Why a request is no good: the status that says so. The connection cannot go on.
struct HTTPFault: Error, Hashable {
    let status: HTTPStatus
    let reason: String

    static func bad(_ reason: String) -> HTTPFault { HTTPFault(status: .badRequest, reason: reason) }
}

/// The bytes of a connection, as requests. Takes what comes in any pieces, keeps no more than one request, and gives
/// one at a time.
struct HTTPReader {
    static let mostHead = 8 << 10
    static let mostBody = 64 << 10
    private static let mostFields = 64

    private var bytes: [UInt8] = []
    /// Up to there no end of a head was found.
    private var searched = 0

    /// Nothing of a request is here.
    var isEmpty: Bool { bytes.isEmpty }

    /// More than that is not to be read before `next` has given what is here.
    var isFull: Bool { bytes.count >= Self.mostHead + Self.mostBody }

    mutating func take(_ more: [UInt8]) { bytes += more }

    /// The next whole request; nil: more has to come.
    mutating func next() throws(HTTPFault) -> HTTPRequest? {
        // Lines before a request are nothing (RFC 9112 §2.2).
        while bytes.first == .carriageReturn || bytes.first == .lineFeed { bytes.removeFirst() }
        guard let head = headEnd() else {
            if bytes.count > Self.mostHead { throw HTTPFault(status: .headTooLarge, reason: "the head is too long") }
            return nil
        }
        guard head <= Self.mostHead else { throw HTTPFault(status: .headTooLarge, reason: "the head is too long") }
        var (request, length) = try Self.parse(bytes[..<head])
        guard length <= Self.mostBody else {
            throw HTTPFault(status: .contentTooLarge, reason: "the content is too long")
        }
        guard bytes.count >= head + length else { return nil }
        request.body = Array(bytes[head..<head + length])
        bytes.removeFirst(head + length)
        searched = 0
        return request
    }

    /// Behind the empty line. A line may end without carriage return (RFC 9112 §2.2).
    private mutating func headEnd() -> Int? {
        var place = max(0, searched - 3)
        while let end = bytes[place...].firstIndex(of: .lineFeed) {
            let rest = bytes[(end + 1)...]
            if rest.first == .lineFeed { return end + 2 }
            if rest.starts(with: [.carriageReturn, .lineFeed]) { return end + 3 }
            place = end + 1
        }
        searched = bytes.count
        return nil
    }

    private static func parse(_ head: ArraySlice<UInt8>) throws(HTTPFault) -> (HTTPRequest, length: Int) {
        guard head.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 9 || $0 == 10 || $0 == 13 }) else {
            throw .bad("the head has bytes that no head has")
        }
        var lines = head.split(separator: .lineFeed, omittingEmptySubsequences: false).map { line in
            line.last == .carriageReturn ? line.dropLast() : line
        }[...]
        var request = try requestLine(lines.removeFirst())
        let isOne = request.keepsAlive
        let fields = try fields(lines)
        if fields["transfer-encoding"] != nil {
            throw HTTPFault(status: .notImplemented, reason: "a Transfer-Encoding is not taken: give a Content-Length")
        }
        if isOne, fields["host"] == nil { throw .bad("HTTP/1.1 wants a Host") }
        let options = (fields["connection"] ?? "").lowercased().split(separator: ",").map { $0.trimmed }
        request.keepsAlive = isOne ? !options.contains("close") : options.contains("keep-alive")
        guard let length = fields["content-length"] else { return (request, 0) }
        guard length.utf8.count <= 18, let count = Int(length), length.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else {
            throw .bad("Content-Length is no number")
        }
        return (request, count)
    }

    /// RFC 9112 §3. `keepsAlive` is the version's: true for 1.1.
    private static func requestLine(_ line: ArraySlice<UInt8>) throws(HTTPFault) -> HTTPRequest {
        let words = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard words.count == 3, !words[0].isEmpty, words[0].allSatisfy(\.isToken), words[0].count <= 16 else {
            throw .bad("the first line is no request")
        }
        let isOne = words[2].elementsEqual("HTTP/1.1".utf8)
        guard isOne || words[2].elementsEqual("HTTP/1.0".utf8) else {
            throw HTTPFault(status: .versionNotSupported, reason: "only HTTP/1.1 and 1.0 are spoken")
        }
        guard words[1].first == UInt8(ascii: "/") else { throw .bad("the target is no path") }
        let parts = words[1].split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
        var query: [String: String] = [:]
        for pair in parts.count > 1 ? parts[1].split(separator: UInt8(ascii: "&")) : [] {
            let sides = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            query[try decoded(sides[0])] = sides.count > 1 ? try decoded(sides[1]) : ""
        }
        return HTTPRequest(
            method: String(decoding: words[0], as: UTF8.self), path: try decoded(parts[0]), query: query, body: [],
            keepsAlive: isOne)
    }

    /// By name in lower case; one that comes twice is a list (RFC 9110 §5.3), but what counts for the length may not.
    private static func fields(_ lines: ArraySlice<ArraySlice<UInt8>>) throws(HTTPFault) -> [String: String] {
        var fields: [String: String] = [:]
        var count = 0
        for line in lines where !line.isEmpty {
            count += 1
            guard count <= mostFields else { throw HTTPFault(status: .headTooLarge, reason: "too many fields") }
            let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
            // A blank before the colon, or a line that goes on, has been read in two ways before (RFC 9112 §5.1, §5.2).
            guard parts.count == 2, !parts[0].isEmpty, parts[0].allSatisfy(\.isToken) else {
                throw .bad("a line of the head is no field")
            }
            let name = String(decoding: parts[0], as: UTF8.self).lowercased()
            let value = String(decoding: parts[1], as: UTF8.self)[...].trimmed
            if let known = fields[name] {
                guard name != "content-length", name != "host" else { throw .bad("\(name) comes twice") }
                fields[name] = "\(known), \(value)"
            } else {
                fields[name] = value
            }
        }
        return fields
    }

    /// RFC 3986 §2.1.
    private static func decoded(_ bytes: ArraySlice<UInt8>) throws(HTTPFault) -> String {
        var result: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                result.append(byte)
                continue
            }
            guard let high = rest.popFirst()?.hexDigit, let low = rest.popFirst()?.hexDigit else {
                throw .bad("a percent sign in the path stands for nothing")
            }
            result.append(high << 4 | low)
        }
        guard let text = String(validating: result, as: UTF8.self), !result.contains(0) else {
            throw .bad("the path is no UTF-8")
        }
        return text
    }
}

extension UInt8 {
    fileprivate static let carriageReturn: UInt8 = 13
    fileprivate static let lineFeed: UInt8 = 10

    /// RFC 9110 §5.6.2.
    fileprivate var isToken: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: Array("!#$%&'*+-.^_`|~".utf8).contains(self)
        }
    }

    fileprivate var hexDigit: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

extension Substring {
    /// Without blanks at its ends.
    fileprivate var trimmed: String {
        let inner = drop { $0 == " " || $0 == "\t" }
        guard let last = inner.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return "" }
        return String(inner[...last])
    }
}

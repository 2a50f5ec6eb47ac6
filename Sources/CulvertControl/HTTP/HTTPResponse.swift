/// What a request is answered with.
enum HTTPStatus: Int, Hashable, CaseIterable {
    case ok = 200
    case badRequest = 400
    case forbidden = 403
    case notFound = 404
    case methodNotAllowed = 405
    case conflict = 409
    case contentTooLarge = 413
    case headTooLarge = 431
    case notImplemented = 501
    case unavailable = 503
    case versionNotSupported = 505

    /// RFC 9110 §15, RFC 6585 §5.
    var phrase: String {
        switch self {
        case .ok: "OK"
        case .badRequest: "Bad Request"
        case .forbidden: "Forbidden"
        case .notFound: "Not Found"
        case .methodNotAllowed: "Method Not Allowed"
        case .conflict: "Conflict"
        case .contentTooLarge: "Content Too Large"
        case .headTooLarge: "Request Header Fields Too Large"
        case .notImplemented: "Not Implemented"
        case .unavailable: "Service Unavailable"
        case .versionNotSupported: "HTTP Version Not Supported"
        }
    }
}

/// One answer of HTTP/1.1: whole, with its length.
struct HTTPResponse: Hashable {
    var status: HTTPStatus
    var type: String
    var body: [UInt8]
    /// Which methods the path takes, where the request had another.
    var allow: String?

    static func text(_ status: HTTPStatus, _ text: String) -> HTTPResponse {
        HTTPResponse(status: status, type: "text/plain; charset=utf-8", body: Array("\(text)\n".utf8))
    }

    /// To a request that is not `isRead`, where nothing else is taken.
    static let onlyRead: HTTPResponse = {
        var response = text(.methodNotAllowed, "only GET is answered here")
        response.allow = "GET, HEAD"
        return response
    }()

    /// `hasBody`: HEAD is answered with the head of GET's answer (RFC 9110 §9.3.2).
    func bytes(hasBody: Bool, keepsAlive: Bool) -> [UInt8] {
        var head = "HTTP/1.1 \(status.rawValue) \(status.phrase)\r\nContent-Type: \(type)\r\n"
        head += "Content-Length: \(body.count)\r\nCache-Control: no-store\r\n"
        if let allow { head += "Allow: \(allow)\r\n" }
        head += keepsAlive ? "\r\n" : "Connection: close\r\n\r\n"
        return Array(head.utf8) + (hasBody ? body : [])
    }
}
